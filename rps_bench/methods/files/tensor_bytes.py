"""Named tensors and texts as the content of a safetensors file: the same bytes every time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load, save

NUM_LENGTH_BYTES = 8  # of the header's length, which the file starts with
TEXTS = "__metadata__"


class OtherFormatError(ValueError):
    """A safetensors file that does not say that it is of the format asked for."""


def to_safetensors(tensors: Mapping[str, torch.Tensor], texts: Mapping[str, str]) -> bytes:
    """A safetensors file's content, its texts sorted by name.

    The library writes the texts in an order that it draws anew each time.

    Args:
        tensors: Contiguous, on the CPU.
        texts: What the header tells beside names, types and shapes.
    """
    content = save(dict(tensors), dict(texts))
    start = NUM_LENGTH_BYTES
    stop = start + int.from_bytes(content[:start], "little")
    header = json.loads(content[start:stop])
    header[TEXTS] = dict(sorted(texts.items()))
    packed = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    assert len(packed) <= stop - start
    return content[:start] + packed.ljust(stop - start) + content[stop:]


def read_safetensors(path: Path, file_format: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """The header that a file's texts hold as JSON, and its tensors, on the CPU.

    Raises:
        OtherFormatError: Its texts name another format, or none.
        SafetensorError, LookupError, ValueError, RecursionError: Not a whole file with a header.
        OSError: It cannot be read.
    """
    with safe_open(path, framework="pt") as file:  # looks at the header before the rest
        header = _find_header(file.metadata(), file_format)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return json.loads(header), tensors


def read_header(path: Path, file_format: str) -> Any:
    """The header alone, as `read_safetensors` gives it and with its errors; no tensor is read."""
    with safe_open(path, framework="pt") as file:
        return json.loads(_find_header(file.metadata(), file_format))


def _find_header(texts: Mapping[str, str] | None, file_format: str) -> str:
    if texts is None or texts.get("format") != file_format:
        raise OtherFormatError(f"not of the format {file_format}")
    return texts["header"]


def parse_safetensors(content: bytes) -> tuple[Any, dict[str, torch.Tensor]]:
    """The header and the tensors of what ``to_safetensors`` gave."""
    stop = NUM_LENGTH_BYTES + int.from_bytes(content[:NUM_LENGTH_BYTES], "little")
    texts = json.loads(content[NUM_LENGTH_BYTES:stop])[TEXTS]
    return json.loads(texts["header"]), load(content)

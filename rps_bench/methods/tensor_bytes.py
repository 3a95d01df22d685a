"""Named tensors and texts as the content of a safetensors file: the same bytes every time."""

import json
from collections.abc import Mapping

import torch
from safetensors.torch import save

NUM_LENGTH_BYTES = 8  # of the header's length, which the file starts with
TEXTS = "__metadata__"


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

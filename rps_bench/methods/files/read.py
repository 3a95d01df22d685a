"""Compressed files read back: the same model, bit for bit, or one line on what is wrong with it."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.content import READ_ERRORS, decode_content, decode_skeleton
from rps_bench.methods.files.needed_plugins import MissingPluginError
from rps_bench.methods.files.skeleton import fill_skeleton
from rps_bench.methods.files.tensor_bytes import OtherFormatError, read_safetensors
from rps_bench.methods.files.write import FORMAT
from rps_bench.methods.map_description import UnknownMapError


def read_facts(path: str | Path) -> dict[str, Any]:
    """What the writer of a compressed file noted in its header.

    Raises:
        UserError: The file is missing, broken or no compressed model.
    """
    header, _ = _read(Path(path))
    facts = header.get("facts")
    if not isinstance(facts, dict):
        raise UserError(f"{path}: not a whole compressed model (its facts are no table)")
    return facts


def load_compressed(path: str | Path, model: nn.Module | None = None) -> CompressedModel:
    """Read a compressed file back: the same outputs, bit for bit.

    Args:
        path: A file that ``CompressedModel.save`` wrote.
        model: The dense network to fill, of any weights; needed only where the file's network is
            not one of this package's architectures.

    Raises:
        UserError: The file is missing, broken or no compressed model, or does not fit ``model``.
    """
    header, tensors = _read(Path(path))
    try:
        return _rebuild(header, tensors, model)
    except (UnknownMapError, MissingPluginError) as error:
        raise UserError(f"{path}: {error}") from error
    except READ_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a whole compressed model ({reason})") from error


def _rebuild(
    header: dict[str, Any], tensors: dict[str, torch.Tensor], model: nn.Module | None
) -> CompressedModel:
    """The model of a file's header and tensors."""
    content = decode_content(header, tensors, model)
    compressed = CompressedModel(
        content.network, content.weight_map, content.stored, content.scaling
    )
    state = decode_skeleton(header, tensors, compressed.skeleton)
    if model is None:  # built without storage so far, and now without its n weights
        compressed.skeleton.to_empty(device=content.stored.device)
    fill_skeleton(compressed.skeleton, state)
    return compressed


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header and the tensors of a file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        header, tensors = read_safetensors(path, FORMAT)
    except OtherFormatError as error:
        raise UserError(f"{path}: not a compressed model of the format {FORMAT}") from error
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a readable compressed model ({error})") from error
    if not isinstance(header, dict):
        raise UserError(f"{path}: its header is not a table")
    return header, tensors

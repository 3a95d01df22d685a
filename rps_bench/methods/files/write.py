"""Compressed models as real files: safetensors with a small header, nothing to unpickle.

Sharing stores theta and what its map is computed from; pruning stores the kept values and where
they are (`positions.py`); a codebook is its values and packed indices (`indices.py`). Biases and
BatchNorm are stored as they are.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from torch import nn

from rps_bench.core.atomic import write_bytes
from rps_bench.core.errors import UserError
from rps_bench.core.storages import EXACT
from rps_bench.methods.clustering.codebook_map import CodebookMap
from rps_bench.methods.files.architecture import describe_architecture, own_table
from rps_bench.methods.files.content import (
    DTYPES,
    INDICES,
    KEPT,
    LEFT_DENSE,
    READ_ERRORS,
    Content,
    decode_content,
    decode_skeleton,
    dense_by_choice,
    name_ties,
)
from rps_bench.methods.files.indices import pack_indices
from rps_bench.methods.files.needed_plugins import KEY, name_plugins
from rps_bench.methods.files.positions import encode_positions
from rps_bench.methods.files.skeleton import odd_dtypes, pack_skeleton, skeleton_state
from rps_bench.methods.files.storage import encode_values, round_values
from rps_bench.methods.files.tensor_bytes import parse_safetensors, to_safetensors
from rps_bench.methods.layout import Layout, Places, layout_table
from rps_bench.methods.lending import take_weights
from rps_bench.methods.map_description import describe_map
from rps_bench.methods.map_state import encode_map
from rps_bench.methods.weight_map import SelectionMap, WeightMap

FORMAT = "rps_bench-compressed-2"


class Compressed(Protocol):
    """What is written of a ``CompressedModel``, which itself needs this file to be saved."""

    @property
    def weight_map(self) -> WeightMap:
        """A."""
        ...

    @property
    def stored(self) -> torch.Tensor:
        """(m,) theta."""
        ...

    @property
    def scaling(self) -> str:
        """Name of the gradient scaling."""
        ...

    @property
    def skeleton(self) -> nn.Module:
        """The network without its compressible weights."""
        ...

    @property
    def layout(self) -> Layout:
        """The layer table."""
        ...

    @property
    def places(self) -> Places:
        """All names of each compressible weight."""
        ...

    def to_dense(self) -> nn.Module:
        """The network with its weights."""
        ...


def to_bytes(
    compressed: Compressed, storage: str = EXACT, facts: Mapping[str, Any] | None = None
) -> bytes:
    """The compressed file's content; its length is the ``stored_bytes`` of a record.

    Args:
        compressed: The model.
        storage: How theta is written, a name of ``STORAGES``.
        facts: What a reader may want to know (dataset, method, accuracy, ...), JSON-ready.

    Raises:
        UserError: The network holds what such a file cannot.
    """
    weight_map, dtype = compressed.weight_map, compressed.stored.dtype
    if dtype not in DTYPES.values():
        raise UserError(f"a compressed file holds {', '.join(DTYPES)}, not {dtype}")
    state = skeleton_state(compressed.skeleton)
    header: dict[str, Any] = {
        "architecture": describe_architecture(compressed.skeleton),
        "map": describe_map(weight_map),
        "scaling": compressed.scaling,
        "dtype": str(dtype).removeprefix("torch."),
        "facts": dict(facts or {}),
    }
    tensors = encode_values(compressed.stored.detach().cpu(), storage) | pack_skeleton(state)
    if isinstance(weight_map, SelectionMap):
        kept = weight_map.kept.cpu()
        header["map"]["coding"], tensors[KEPT] = encode_positions(kept, weight_map.num_weights)
    if isinstance(weight_map, CodebookMap):
        tensors[INDICES] = pack_indices(weight_map.indices.cpu(), weight_map.index_bits)
    if own_table(header["architecture"]) != layout_table(compressed.layout):
        header["layout"] = layout_table(compressed.layout)
        header[LEFT_DENSE] = dense_by_choice(compressed.skeleton)
    if ties := name_ties(compressed.places):
        header["ties"] = ties
    if odd := odd_dtypes(state, dtype):
        header["odd_dtypes"] = odd
    if plugins := name_plugins(header):
        header[KEY] = plugins
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    text = json.dumps(header, separators=(",", ":"))
    try:
        return to_safetensors(whole, {"format": FORMAT, "header": text})
    except (KeyError, SafetensorError) as error:
        raise UserError(f"a compressed file cannot hold this network ({error})") from error


def save_compressed(
    compressed: Compressed,
    path: str | Path,
    storage: str = EXACT,
    facts: Mapping[str, Any] | None = None,
) -> int:
    """Write the compressed file, in place of an older one only when it is whole and reads back.

    Returns:
        Its size in bytes.

    Raises:
        UserError: The file would not give the model back; nothing is written.
    """
    content = to_bytes(compressed, storage, facts)
    _require_same(compressed, storage, content)
    write_bytes(Path(path), content)
    return len(content)


def _require_same(compressed: Compressed, storage: str, content: bytes) -> None:
    """Raise a UserError unless the content of a file gives the model back, bit for bit."""
    is_own = describe_architecture(compressed.skeleton) is not None
    try:
        header, tensors = parse_safetensors(content)
        found = decode_content(header, tensors, None if is_own else compressed.to_dense())
        take_weights(found.network, found.places)
        got = {"stored": found.stored} | decode_skeleton(header, tensors, found.network)
    except READ_ERRORS as error:
        raise UserError(
            f"the model cannot be saved: its file would not be read ({error})"
        ) from error
    wanted = {"stored": round_values(compressed.stored.detach(), storage)}
    wanted |= skeleton_state(compressed.skeleton)
    differing = [name for name in wanted if not _is_same(wanted[name], got.get(name))]
    if not _has_same_map(compressed, found):
        differing.append("the map")
    if differing or wanted.keys() != got.keys() or found.places != compressed.places:
        names = ", ".join(differing) or "its tensors"
        raise UserError(f"the model cannot be saved: its file would give other values of {names}")


def _has_same_map(compressed: Compressed, found: Content) -> bool:
    """Whether theta would stand for the same weights."""
    own, other = compressed.weight_map, found.weight_map
    words = encode_map(own, compressed.layout, compressed.scaling)
    if not torch.equal(words, encode_map(other, found.layout, found.scaling)):
        return False
    if type(own) is type(other):
        return True
    # The class was defined again since, as in a notebook: the same words, but the same numbers?
    other = other.to(dtype=own.anchor.dtype)
    return torch.equal(own.slots().cpu(), other.slots()) and torch.equal(
        own.coefficients().cpu(), other.coefficients()
    )


def _is_same(own: torch.Tensor, other: torch.Tensor | None) -> bool:
    """Whether two tensors are the same bits; a diverged model may hold NaN."""
    if other is None or own.dtype != other.dtype or own.shape != other.shape:
        return False
    own, other = own.detach().cpu().reshape(-1), other.detach().cpu().reshape(-1)
    return torch.equal(own.view(torch.uint8), other.view(torch.uint8))

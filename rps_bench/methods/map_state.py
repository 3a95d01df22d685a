"""What the numbers of theta stand for, as one tensor that travels with them in a ``state_dict``.

theta alone says nothing: the same numbers under another map are another network. Scores that choose
what is kept round differently on another machine, so a mask cannot be computed again either.
"""

import json
from typing import Any

import numpy as np
import torch

from rps_bench.core.errors import UserError
from rps_bench.methods.clustering.codebook_map import CodebookMap
from rps_bench.methods.files.indices import pack_indices, unpack_indices
from rps_bench.methods.layout import Layout, layout_table, num_weights
from rps_bench.methods.map_description import (
    UnknownMapError,
    build_map,
    describe_map,
    read_index_bits,
)
from rps_bench.methods.weight_map import SelectionMap, WeightMap

KEY = "_extra_state"  # PyTorch's name for what a module adds to its state_dict
UNREADABLE = (LookupError, TypeError, AttributeError, ValueError, RecursionError)
_LENGTH_BYTES = 8  # of the description's length, which the tensor starts with


def encode_map(weight_map: WeightMap, layout: Layout, scaling: str) -> torch.Tensor:
    """(bytes,) uint8: the map's description as JSON, and what it holds in numbers.

    For pruning that is a bit for each weight, for a codebook the bits of each index.
    """
    description = {
        "map": describe_map(weight_map),
        "layout": layout_table(layout),
        "scaling": scaling,
    }
    text = json.dumps(description, separators=(",", ":")).encode()
    content = len(text).to_bytes(_LENGTH_BYTES, "little") + text
    if isinstance(weight_map, SelectionMap):
        is_kept = np.zeros(weight_map.num_weights, dtype=np.bool_)
        is_kept[weight_map.kept.cpu().numpy()] = True
        content += np.packbits(is_kept, bitorder="little").tobytes()
    if isinstance(weight_map, CodebookMap):
        packed = pack_indices(weight_map.indices.cpu(), weight_map.index_bits)
        content += packed.numpy().tobytes()
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def decode_map(encoded: torch.Tensor, layout: Layout) -> tuple[WeightMap, str]:
    """The map that ``encode_map`` wrote, and the name of the scaling.

    Raises:
        UserError: It wrote none, or one of another layer table, or of a class that is not loaded.
    """
    try:
        description, numbers = _read(encoded)
        if description["layout"] != layout_table(layout):
            raise ValueError("its layers are others than the network's")
        return build_map(description["map"], layout, numbers), str(description["scaling"])
    except UnknownMapError:
        raise
    except UNREADABLE as error:
        raise UserError(f"this state does not fit the network ({error})") from error


def names_of_map(encoded: torch.Tensor) -> tuple[str, ...]:
    """The names of the weights that an encoded map is of, in flat order.

    Raises:
        UserError: ``encode_map`` did not write it.
    """
    try:
        return tuple(str(name) for name, _ in _read(encoded)[0]["layout"])
    except UNREADABLE as error:
        raise UserError(f"this state does not fit the network ({error})") from error


def name_difference(own: torch.Tensor, other: object) -> str | None:
    """Why a state's numbers are not those of a model's theta; None where they are.

    Args:
        own: The model's encoded map.
        other: The state's; None where it has none.
    """
    if not isinstance(other, torch.Tensor):
        return (
            "it does not say what its stored values stand for: it is of an earlier version, or of "
            "no compressed model"
        )
    if torch.equal(own, other.cpu()):
        return None
    try:
        return f"its stored values are of another map: {_compare(_read(own), _read(other))}"
    except UNREADABLE:
        return "what its stored values stand for cannot be read"


def differ_in_mask_only(own: torch.Tensor, other: object) -> bool:
    """Whether two encoded maps select as many weights of the same network, but other ones."""
    if not isinstance(other, torch.Tensor):
        return False
    try:
        (mine, kept), (theirs, others) = _read(own), _read(other)
    except UNREADABLE:
        return False
    if kept is None or others is None or mine != theirs:
        return False
    return kept.numel() == others.numel() and not torch.equal(kept, others)


Decoded = tuple[dict[str, Any], torch.Tensor | None]


def _read(encoded: torch.Tensor) -> Decoded:
    """The description, and the numbers that ``build_map`` takes beside it."""
    content = encoded.cpu().numpy().tobytes()
    stop = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    description = json.loads(content[_LENGTH_BYTES:stop])
    kind = description["map"]["kind"]
    if kind not in (SelectionMap.kind, CodebookMap.kind):
        return description, None
    n = num_weights(tuple((name, tuple(shape)) for name, shape in description["layout"]))
    if kind == CodebookMap.kind:
        packed = torch.frombuffer(bytearray(content[stop:]), dtype=torch.uint8)
        return description, unpack_indices(packed, n, read_index_bits(description["map"]))
    if len(content) - stop != -(-n // 8):
        raise ValueError("it has not a bit for each weight")
    bits = np.unpackbits(np.frombuffer(content[stop:], np.uint8), count=n, bitorder="little")
    return description, torch.from_numpy(np.flatnonzero(bits))


def _compare(own: Decoded, other: Decoded) -> str:
    """In what the state differs from the model."""
    mine, theirs = own[0], other[0]
    if mine["layout"] != theirs["layout"]:
        return "its network has other layers"
    for key in {**mine["map"], **theirs["map"]}:
        ours, its = mine["map"].get(key), theirs["map"].get(key)
        if ours != its:
            shown = f" is {its}, the model's {ours}" if key != "scales" else " differ"
            return f"its {key}{shown}"
    if mine["scaling"] != theirs["scaling"]:
        return f"its scaling is {theirs['scaling']}, the model's {mine['scaling']}"
    assert own[1] is not None
    assert other[1] is not None
    if mine["map"]["kind"] == CodebookMap.kind:
        return f"{int((own[1] != other[1]).sum())} of {own[1].numel()} indices are others"
    is_shared = np.isin(own[1].numpy(), other[1].numpy())
    num_others = own[1].numel() - int(is_shared.sum())
    return f"{num_others} of {own[1].numel()} kept weights are others"

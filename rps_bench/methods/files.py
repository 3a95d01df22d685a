"""Compressed models as real files: safetensors with a small header, nothing to unpickle.

Sharing stores theta and what its map is computed from; pruning stores the kept values and where
they are (`positions.py`). Biases and BatchNorm are stored as they are.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from rps_bench import checks
from rps_bench.atomic import write_bytes
from rps_bench.errors import UserError
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import Layout, layout_of, num_weights
from rps_bench.methods.positions import decode_positions, encode_positions
from rps_bench.methods.scaling import SCALINGS
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.tiles import TiledMap
from rps_bench.methods.skeleton import pack_skeleton, skeleton_state, unpack_skeleton
from rps_bench.methods.storage import SCALES, VALUES, decode_values, encode_values
from rps_bench.methods.tensor_bytes import (
    OtherFormatError,
    read_safetensors,
    to_safetensors,
)
from rps_bench.methods.weight_map import IdentityMap, SelectionMap, WeightMap
from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.storages import EXACT

FORMAT = "rps_bench-compressed-2"
KEPT = "kept"  # name of the positions of pruning
DTYPES = {"float32": torch.float32, "float64": torch.float64}
SHARING_MAPS: dict[str, Callable[..., SharingMap]] = {
    map_type.kind: map_type for map_type in (RandomFoldMap, HashedMap, BalancedMap, TiledMap)
}


def to_bytes(
    compressed: CompressedModel, storage: str = EXACT, facts: Mapping[str, Any] | None = None
) -> bytes:
    """The compressed file's content; its length is the ``stored_bytes`` of a record.

    Args:
        compressed: The model.
        storage: How theta is written, a name of ``STORAGES``.
        facts: What a reader may want to know (dataset, method, accuracy, ...), JSON-ready.
    """
    description, positions = _describe_map(compressed.weight_map)
    architecture = _describe_architecture(compressed.skeleton)
    header: dict[str, Any] = {
        "architecture": architecture,
        "map": description,
        "scaling": compressed.scaling,
        "dtype": str(compressed.stored.dtype).removeprefix("torch."),
        "facts": dict(facts or {}),
    }
    if architecture is None:
        header["layout"] = _write_layout(compressed.layout)
    values = encode_values(compressed.stored.detach().cpu(), storage)
    tensors = values | pack_skeleton(compressed.skeleton.state_dict()) | positions
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    text = json.dumps(header, separators=(",", ":"))
    return to_safetensors(whole, {"format": FORMAT, "header": text})


def save_compressed(
    compressed: CompressedModel,
    path: str | Path,
    storage: str = EXACT,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the compressed file, in place of an older one only when it is whole."""
    write_bytes(Path(path), to_bytes(compressed, storage, facts))


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
    except (
        LookupError,
        TypeError,
        AttributeError,
        ValueError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a whole compressed model ({reason})") from error


def _rebuild(
    header: dict[str, Any], tensors: dict[str, torch.Tensor], model: nn.Module | None
) -> CompressedModel:
    """The model of a file's header and tensors."""
    dense = _build_architecture(header["architecture"]) if model is None else model
    layout = layout_of(dense)
    if _write_layout(layout) != _find_layout(header):
        raise ValueError("its layer table does not fit the network")
    dtype = DTYPES[header["dtype"]]
    stored = decode_values(tensors, dtype)
    weight_map = _build_map(header["map"], layout, tensors)
    if header["scaling"] not in SCALINGS or stored.shape != (weight_map.num_stored,):
        raise ValueError("its header and its stored values do not agree")
    state = unpack_skeleton(tensors, skeleton_state(dense), dtype)
    allowed = {VALUES, *pack_skeleton(state)}
    allowed |= {SCALES} if tensors[VALUES].dtype == torch.int8 else set()
    allowed |= {KEPT} if isinstance(weight_map, SelectionMap) else set()
    if unknown := sorted(tensors.keys() - allowed):
        raise ValueError(f"it holds {unknown[0]!r}, which no model of its kind has")
    compressed = CompressedModel(dense.to(dtype), weight_map, stored, header["scaling"])
    if model is None:  # built without storage so far, and now without its n weights
        compressed.skeleton.to_empty(device=stored.device)
    compressed.skeleton.load_state_dict(state)
    return compressed


def _write_layout(layout: Layout) -> list[list[Any]]:
    """A layer table as JSON has it."""
    return [[name, list(shape)] for name, shape in layout]


def _find_layout(header: dict[str, Any]) -> list[list[Any]]:
    """The layer table of a file: that of its architecture, or written out for another network."""
    if header["architecture"] is None:
        table: list[list[Any]] = header["layout"]
        return table
    return _write_layout(layout_of(_build_architecture(header["architecture"])))


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


def _describe_architecture(skeleton: nn.Module) -> dict[str, Any] | None:
    for name, architecture in ARCHITECTURES.items():
        if type(skeleton) is architecture:
            return {
                "name": name,
                "num_classes": skeleton.num_classes,
                "width": skeleton.width,
            }
    return None


def _build_architecture(description: dict[str, Any] | None) -> nn.Module:
    """The network of a description, without storage."""
    if description is None:
        raise ValueError("its network is not one of this package's: pass it as model")
    with torch.device("meta"):
        return build_model(**description)


def _describe_map(weight_map: WeightMap) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What the map is computed from, and the tensor it needs beside that."""
    if isinstance(weight_map, SharingMap):
        return weight_map.description(), {}
    if isinstance(weight_map, SelectionMap):
        coding, kept = encode_positions(weight_map.kept.cpu(), weight_map.num_weights)
        return {"kind": "selection", "coding": coding}, {KEPT: kept}
    assert isinstance(weight_map, IdentityMap)
    return {"kind": "identity"}, {}


def _build_map(
    description: dict[str, Any], layout: Layout, tensors: Mapping[str, torch.Tensor]
) -> WeightMap:
    """The map of a description and, for pruning, its tensor of positions."""
    description = dict(description)
    kind, n = description.pop("kind"), num_weights(layout)
    if kind == "identity":
        return IdentityMap(n)
    if kind == "selection":
        return SelectionMap(n, decode_positions(description["coding"], tensors[KEPT], n))
    if kind not in SHARING_MAPS:
        raise ValueError(f"unknown map {kind!r}")
    _check_sharing(description, layout)
    return SHARING_MAPS[kind](layout, **description)


def _check_sharing(description: dict[str, Any], layout: Layout) -> None:
    """Raise a UserError unless a sharing map can be computed from the description."""
    m = checks.whole_number("its num_stored", description["num_stored"], 1, num_weights(layout))
    tile = checks.whole_number("its tile", description.get("tile", 1), 1)
    checks.whole_number("its seed", description["seed"], 0)
    if len(description["scales"]) != len(layout) or tile**2 > m:
        raise ValueError("its scales or its tile do not fit the network")
    for scale in description["scales"]:
        checks.positive_number("its scale", scale)

"""Compressed models as real files: safetensors with a small header, nothing to unpickle.

Sharing stores theta and what its map is computed from; pruning stores the kept values and where
they are (`positions.py`). Biases and BatchNorm are stored as they are.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from rps_bench.atomic import write_bytes
from rps_bench.errors import UserError
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.positions import decode_positions, encode_positions
from rps_bench.methods.files.skeleton import (
    fill_skeleton,
    odd_dtypes,
    pack_skeleton,
    skeleton_state,
    unpack_skeleton,
)
from rps_bench.methods.files.storage import (
    SCALES,
    VALUES,
    decode_values,
    encode_values,
    round_values,
)
from rps_bench.methods.files.tensor_bytes import (
    OtherFormatError,
    parse_safetensors,
    read_safetensors,
    to_safetensors,
)
from rps_bench.methods.layout import (
    Layout,
    Places,
    layout_of,
    layout_table,
    num_weights,
    places_of,
    weight_of,
)
from rps_bench.methods.map_description import UnknownMapError, build_map, describe_map
from rps_bench.methods.needed_plugins import (
    KEY,
    MissingPluginError,
    name_plugins,
    require_plugins,
)
from rps_bench.methods.scaling import SCALINGS
from rps_bench.methods.weight_map import SelectionMap, WeightMap
from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.models.initialisation import COMPRESSIBLE_TYPES
from rps_bench.storages import EXACT

FORMAT = "rps_bench-compressed-2"
KEPT = "kept"  # name of the positions of pruning
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# What taking a file's content apart may raise where it is none, or one that was changed.
READ_ERRORS = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError)


def to_bytes(
    compressed: CompressedModel, storage: str = EXACT, facts: Mapping[str, Any] | None = None
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
        "architecture": _describe_architecture(compressed.skeleton),
        "map": describe_map(weight_map),
        "scaling": compressed.scaling,
        "dtype": str(dtype).removeprefix("torch."),
        "facts": dict(facts or {}),
    }
    tensors = encode_values(compressed.stored.detach().cpu(), storage) | pack_skeleton(state)
    if isinstance(weight_map, SelectionMap):
        kept = weight_map.kept.cpu()
        header["map"]["coding"], tensors[KEPT] = encode_positions(kept, weight_map.num_weights)
    if _own_table(header["architecture"]) != layout_table(compressed.layout):
        header["layout"] = layout_table(compressed.layout)
    if ties := _ties(compressed.places):
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
    compressed: CompressedModel,
    path: str | Path,
    storage: str = EXACT,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the compressed file, in place of an older one only when it is whole and reads back.

    Raises:
        UserError: The file would not give the model back; nothing is written.
    """
    content = to_bytes(compressed, storage, facts)
    _require_same(compressed, storage, content)
    write_bytes(Path(path), content)


def _require_same(compressed: CompressedModel, storage: str, content: bytes) -> None:
    """Raise a UserError unless the content of a file gives the model back, bit for bit."""
    is_own = _describe_architecture(compressed.skeleton) is not None
    try:
        found = _rebuild(*parse_safetensors(content), None if is_own else compressed.to_dense())
    except READ_ERRORS as error:
        raise UserError(
            f"the model cannot be saved: its file would not be read ({error})"
        ) from error
    wanted = {"stored": round_values(compressed.stored.detach(), storage)}
    wanted |= skeleton_state(compressed.skeleton)
    got = {"stored": found.stored.detach()} | skeleton_state(found.skeleton)
    differing = [name for name in wanted if not _is_same(wanted[name], got.get(name))]
    if not torch.equal(found.get_extra_state(), compressed.get_extra_state()):
        differing.append("the map")
    if differing or wanted.keys() != got.keys() or found.places != compressed.places:
        names = ", ".join(differing) or "its tensors"
        raise UserError(f"the model cannot be saved: its file would give other values of {names}")


def _is_same(own: torch.Tensor, other: torch.Tensor | None) -> bool:
    """Whether two tensors are the same bits; a diverged model may hold NaN."""
    if other is None or own.dtype != other.dtype or own.shape != other.shape:
        return False
    own, other = own.detach().cpu().reshape(-1), other.detach().cpu().reshape(-1)
    return torch.equal(own.view(torch.uint8), other.view(torch.uint8))


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
    require_plugins(header, model is not None)
    dense = _build_architecture(header["architecture"]) if model is None else copy.deepcopy(model)
    table = header.get("layout") or _own_table(header["architecture"])
    _freeze_all_but(dense, {name for name, _ in table})
    layout = layout_of(dense)
    if layout_table(layout) != table:
        raise ValueError("its layer table does not fit the network")
    if _ties(places_of(dense)) != header.get("ties", []):
        raise ValueError("the network ties other weights than the file's")
    dtype, scaling = DTYPES[header["dtype"]], header["scaling"]
    stored = decode_values(tensors, dtype)
    weight_map = _build_map(header["map"], layout, tensors)
    if scaling not in SCALINGS or stored.shape != (weight_map.num_stored,):
        raise ValueError("its header and its stored values do not agree")
    compressed = CompressedModel(dense, weight_map, stored, scaling)
    template = skeleton_state(compressed.skeleton)
    state = unpack_skeleton(tensors, template, dtype, header.get("odd_dtypes", {}))
    allowed = {VALUES, *pack_skeleton(state)}
    allowed |= {SCALES} if tensors[VALUES].dtype == torch.int8 else set()
    allowed |= {KEPT} if isinstance(weight_map, SelectionMap) else set()
    if unknown := sorted(tensors.keys() - allowed):
        raise ValueError(f"it holds {unknown[0]!r}, which no model of its kind has")
    if model is None:  # built without storage so far, and now without its n weights
        compressed.skeleton.to_empty(device=stored.device)
    fill_skeleton(compressed.skeleton, state)
    return compressed


def _own_table(architecture: dict[str, Any] | None) -> list[list[Any]]:
    """The layer table of one of this package's networks; of another one none is known."""
    return (
        [] if architecture is None else layout_table(layout_of(_build_architecture(architecture)))
    )


def _ties(places: Places) -> list[list[str]]:
    """The names of each weight that is tied."""
    return [list(names) for names in places if len(names) > 1]


def _freeze_all_but(model: nn.Module, names: set[str]) -> None:
    """Freeze the layers' weights that a file has not compressed, and no others, in place."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    if not names <= parameters.keys():
        raise ValueError("its layer table does not fit the network")
    compressed = {id(parameters[name]) for name in names}
    for layer in model.modules():
        if isinstance(layer, COMPRESSIBLE_TYPES):
            weight_of(layer).requires_grad_(id(layer.weight) in compressed)


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


def _build_map(
    description: dict[str, Any], layout: Layout, tensors: Mapping[str, torch.Tensor]
) -> WeightMap:
    """The map of a description and, for pruning, its tensor of positions."""
    description, kept = dict(description), None
    if description["kind"] == SelectionMap.kind:
        coding = description.pop("coding")
        kept = decode_positions(coding, tensors[KEPT], num_weights(layout))
    return build_map(description, layout, kept)

"""What a compressed file holds, taken apart: enough to build its model, or to compare with one."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rps_bench.methods.candidates import weights_by_kind
from rps_bench.methods.choice import mark
from rps_bench.methods.clustering.codebook_map import CodebookMap
from rps_bench.methods.files.architecture import build_architecture, own_table
from rps_bench.methods.files.indices import unpack_indices
from rps_bench.methods.files.needed_plugins import require_plugins
from rps_bench.methods.files.positions import decode_positions
from rps_bench.methods.files.skeleton import pack_skeleton, skeleton_state, unpack_skeleton
from rps_bench.methods.files.storage import SCALES, VALUES, decode_values
from rps_bench.methods.layout import (
    Layout,
    Places,
    layout_of,
    layout_table,
    num_weights,
    places_of,
)
from rps_bench.methods.map_description import build_map, read_index_bits
from rps_bench.methods.scaling import SCALINGS
from rps_bench.methods.weight_map import SelectionMap, WeightMap

KEPT, INDICES = "kept", "indices"  # names of the positions of pruning, of a codebook's indices
LEFT_DENSE = "left_dense"  # in the header: weights that train uncompressed, beside a layer table
EARLIER_TYPES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)  # all that was compressed once
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# What taking a file's content apart may raise where it is none, or one that was changed.
READ_ERRORS = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError)


@dataclass(frozen=True)
class Content:
    """What a compressed model is made of, but for the tensors beside its weights.

    Attributes:
        network: Dense, of any numbers or without storage; the caller's own.
        layout: Its layer table.
        places: All names of each of its compressible weights.
        weight_map: A.
        stored: (m,) theta.
        scaling: Name of the gradient scaling.
    """

    network: nn.Module
    layout: Layout
    places: Places
    weight_map: WeightMap
    stored: torch.Tensor
    scaling: str


def decode_content(
    header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], model: nn.Module | None
) -> Content:
    """The network, the map and theta of a file.

    Args:
        header: What it says.
        tensors: What it holds.
        model: A network of the same kind, left as it is; None for one of this package's.

    Raises:
        One of READ_ERRORS: The file contradicts itself, or is of another network.
    """
    require_plugins(header, has_network=model is not None)
    architecture = header["architecture"]
    network = build_architecture(architecture) if model is None else copy.deepcopy(model)
    table = header.get("layout") or own_table(architecture)
    _choose_as(network, [name for name, _ in table], header.get(LEFT_DENSE))
    layout, places = layout_of(network), places_of(network)
    if layout_table(layout) != table:
        raise ValueError("its layer table does not fit the network")
    if name_ties(places) != header.get("ties", []):
        raise ValueError("the network ties other weights than the file's")
    scaling, stored = header["scaling"], decode_values(tensors, DTYPES[header["dtype"]])
    weight_map = _build_map(header["map"], layout, tensors)
    if scaling not in SCALINGS or stored.shape != (weight_map.num_stored,):
        raise ValueError("its header and its stored values do not agree")
    return Content(network, layout, places, weight_map, stored, scaling)


def decode_skeleton(
    header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], skeleton: nn.Module
) -> dict[str, torch.Tensor]:
    """The tensors beside the weights, by their names in a network that lacks its weights.

    Args:
        header: What the file says.
        tensors: What it holds.
        skeleton: The file's network; its numbers are not looked at.

    Raises:
        One of READ_ERRORS: Too few numbers or too many, or tensors that no model has.
    """
    odd = header.get("odd_dtypes", {})
    state = unpack_skeleton(tensors, skeleton_state(skeleton), DTYPES[header["dtype"]], odd)
    allowed = {VALUES, *pack_skeleton(state)}
    allowed |= {SCALES} if tensors[VALUES].dtype == torch.int8 else set()
    allowed |= {KEPT} if header["map"]["kind"] == SelectionMap.kind else set()
    allowed |= {INDICES} if header["map"]["kind"] == CodebookMap.kind else set()
    if unknown := sorted(tensors.keys() - allowed):
        raise ValueError(f"it holds {unknown[0]!r}, which no model of its kind has")
    return state


def name_ties(places: Places) -> list[list[str]]:
    """The names of each weight that is tied."""
    return [list(names) for names in places if len(names) > 1]


def dense_by_choice(skeleton: nn.Module) -> list[str]:
    """The weights that train uncompressed though they would be compressed by default.

    Args:
        skeleton: A network that lacks its compressed weights.
    """
    return [name for name, weight in weights_by_kind(skeleton).items() if weight.requires_grad]


def _choose_as(model: nn.Module, names: list[str], left_dense: list[str] | None) -> None:
    """Choose the weights that a file has compressed, in place, and freeze those it has frozen.

    Args:
        model: The network.
        names: Of the compressed weights.
        left_dense: Of the weights that train uncompressed; None in files of earlier versions, which
            compressed all convolutions and linear layers that were not frozen.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    if not set(names) <= parameters.keys() or not set(left_dense or ()) <= parameters.keys():
        raise ValueError("its layer table does not fit the network")
    for name in names:
        parameters[name].requires_grad_(True)
    trained = {id(parameters[name]) for name in (*names, *(left_dense or ()))}
    kinds = EARLIER_TYPES if left_dense is None else None
    for weight in weights_by_kind(model, kinds).values():
        weight.requires_grad_(id(weight) in trained)
    mark(model, names)


def _build_map(
    description: dict[str, Any], layout: Layout, tensors: Mapping[str, torch.Tensor]
) -> WeightMap:
    """The map of a description and of its tensor of positions or indices, if it has one."""
    description, numbers = dict(description), None
    if description["kind"] == SelectionMap.kind:
        coding = description.pop("coding")
        numbers = decode_positions(coding, tensors[KEPT], num_weights(layout))
    if description["kind"] == CodebookMap.kind:
        num_bits = read_index_bits(description)
        numbers = unpack_indices(tensors[INDICES], num_weights(layout), num_bits)
    return build_map(description, layout, numbers)

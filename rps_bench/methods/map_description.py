"""A map in words: all that it is computed from, for files and states, and the map of such words.

Kept positions, and the indices of a codebook, go with the words as a tensor.
"""

from collections.abc import Mapping
from typing import Any

import torch

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.shown import show
from rps_bench.methods.clustering.codebook_map import MOST_VALUES, CodebookMap
from rps_bench.methods.layout import Layout, num_weights
from rps_bench.methods.sharing.sharing_map import MAP_TYPES, SharingMap
from rps_bench.methods.sharing.shuffled import LayerShuffledMap
from rps_bench.methods.weight_map import IdentityMap, SelectionMap, WeightMap

# Beside the kind and the options of a map whose rows are permuted; always true, or left out.
SHUFFLED = "shuffled_within_layers"


class UnknownMapError(UserError):
    """A description that names a kind of map which no loaded class has."""


def describe_map(weight_map: WeightMap) -> dict[str, Any]:
    """What a map is computed from beside the layer table and its numbers.

    Raises:
        UserError: Its class has no kind of its own, so that another class would be built.
    """
    if isinstance(weight_map, LayerShuffledMap):
        return describe_map(weight_map.inner) | {SHUFFLED: True}
    if "kind" not in vars(type(weight_map)):
        raise UserError(
            f"the map {type(weight_map).__name__} has no kind of its own: give its class a text "
            "`kind`, by which files and states name it"
        )
    if isinstance(weight_map, SharingMap):
        return weight_map.description()
    if isinstance(weight_map, CodebookMap):
        return {"kind": weight_map.kind, "num_stored": weight_map.num_stored}
    assert isinstance(weight_map, IdentityMap | SelectionMap)
    return {"kind": weight_map.kind}


def build_map(
    description: Mapping[str, Any], layout: Layout, numbers: torch.Tensor | None
) -> WeightMap:
    """The map of a description.

    Args:
        description: What ``describe_map`` gave.
        layout: The layer table.
        numbers: (m,) int64 positions of the kept weights, for pruning; (n,) uint8 indices, for a
            codebook.

    Raises:
        UnknownMapError: No class of its kind is loaded.
        ValueError, LookupError, TypeError: It describes no map of this layer table.
    """
    options = dict(description)
    kind, n = options.pop("kind"), num_weights(layout)
    if kind == IdentityMap.kind:
        return IdentityMap(n)
    if kind == SelectionMap.kind:
        if numbers is None:
            raise ValueError("its kept positions are missing")
        return SelectionMap(n, numbers)
    if kind == CodebookMap.kind:
        if numbers is None or numbers.shape != (n,):
            raise ValueError("its indices are missing")
        return CodebookMap(numbers, 1 << read_index_bits(options))
    map_type, is_shuffled = _find_type(kind), options.pop(SHUFFLED, False)
    map_type.check_options(layout, options)
    checks.truth_value(f"its {SHUFFLED}", is_shuffled)
    weight_map = map_type(layout, **options)
    return LayerShuffledMap(weight_map) if is_shuffled else weight_map


def read_index_bits(description: Mapping[str, Any]) -> int:
    """Bits of an index of a codebook, by its description, which may come from any file.

    Raises:
        ValueError, LookupError, TypeError: Its number of values is no power of two up to 256.
    """
    size = checks.whole_number("its num_stored", description["num_stored"], 2, MOST_VALUES)
    if size & (size - 1):
        raise ValueError(f"its codebook has {size} values, no power of two")
    return size.bit_length() - 1


def _find_type(kind: object) -> type[SharingMap]:
    """The sharing map of a kind."""
    if isinstance(kind, str) and kind in MAP_TYPES:
        return MAP_TYPES[kind]
    known = ", ".join((IdentityMap.kind, SelectionMap.kind, CodebookMap.kind, *MAP_TYPES))
    raise UnknownMapError(
        f"unknown map {show(kind)}; known are {known}; a plugin with another must be loaded first: "
        "plugins=[my_methods.py], in Python an import"
    )

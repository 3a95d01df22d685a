"""A map in words: all that it is computed from, for files and states, and the map of such words."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from rps_bench import checks
from rps_bench.methods.layout import Layout, num_weights
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.tiles import TiledMap
from rps_bench.methods.weight_map import IdentityMap, SelectionMap, WeightMap

SHARING_MAPS: dict[str, Callable[..., SharingMap]] = {
    map_type.kind: map_type for map_type in (RandomFoldMap, HashedMap, BalancedMap, TiledMap)
}


def describe_map(weight_map: WeightMap) -> dict[str, Any]:
    """What a map is computed from beside the layer table and, for pruning, the kept positions."""
    if isinstance(weight_map, SharingMap):
        return weight_map.description()
    if isinstance(weight_map, SelectionMap):
        return {"kind": "selection"}
    assert isinstance(weight_map, IdentityMap)
    return {"kind": "identity"}


def build_map(
    description: Mapping[str, Any], layout: Layout, kept: torch.Tensor | None
) -> WeightMap:
    """The map of a description.

    Args:
        description: What ``describe_map`` gave.
        layout: The layer table.
        kept: (m,) int64 positions of the kept weights, for pruning.

    Raises:
        ValueError, LookupError, TypeError: It describes no map of this layer table.
    """
    options = dict(description)
    kind, n = options.pop("kind"), num_weights(layout)
    if kind == "identity":
        return IdentityMap(n)
    if kind == "selection":
        if kept is None:
            raise ValueError("its kept positions are missing")
        return SelectionMap(n, kept)
    if kind not in SHARING_MAPS:
        raise ValueError(f"unknown map {kind!r}")
    _check_sharing(options, layout)
    return SHARING_MAPS[kind](layout, **options)


def _check_sharing(options: Mapping[str, Any], layout: Layout) -> None:
    """Raise a UserError unless a sharing map can be computed from the options."""
    m = checks.whole_number("its num_stored", options["num_stored"], 1, num_weights(layout))
    tile = checks.whole_number("its tile", options.get("tile", 1), 1)
    checks.whole_number("its seed", options["seed"], 0)
    if len(options["scales"]) != len(layout) or tile**2 > m:
        raise ValueError("its scales or its tile do not fit the network")
    for scale in options["scales"]:
        checks.positive_number("its scale", scale)

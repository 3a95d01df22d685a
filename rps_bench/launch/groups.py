"""Which runs of a sweep may train at once in one process: those alike in time and memory.

They share data, network and recipe. Imports no torch.
"""

from collections.abc import Hashable, Sequence

from rps_bench.config import RunConfig


def find_groups(configs: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """The runs in groups, in the order given; a run with ``population=1`` is its own group."""
    groups: dict[Hashable, list[RunConfig]] = {}
    for number, config in enumerate(configs):
        network = config.arch, config.width
        arithmetic = config.precision, config.engine
        key = (config.data_source, network, config.recipe, arithmetic, config.compute)
        groups.setdefault(number if config.compute.population == 1 else key, []).append(config)
    return list(groups.values())

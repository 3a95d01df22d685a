"""Which runs of a sweep may train at once in one process: those that share data, network, recipe.

They then take about the same time and memory. Imports no torch.
"""

from collections.abc import Hashable, Sequence

from rps_bench.config import RunConfig

_ALIKE = (
    *("data_source", "arch", "width", "recipe", "precision", "population"),
    *("device", "gpus", "runs_per_gpu", "deterministic", "threads"),  # of the process
)


def find_groups(configs: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """The runs in groups, each in the order given; with ``population=1`` each run is one."""
    groups: dict[Hashable, list[RunConfig]] = {}
    for number, config in enumerate(configs):
        key: Hashable = tuple(getattr(config, name) for name in _ALIKE)
        groups.setdefault(number if config.population == 1 else key, []).append(config)
    return list(groups.values())

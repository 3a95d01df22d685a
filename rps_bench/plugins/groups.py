"""What a plugin may offer: the groups of the command line, and where their names are kept."""

from typing import Any, NamedTuple

from rps_bench.core.origins import MAP, ORIGINS


class Group(NamedTuple):
    """One kind of what is chosen by name."""

    table: str  # the name of the table in a plugin's file, as that of the package's own registry
    entry_points: str  # the group of an installed package's entry points
    noun: str


GROUPS = {
    "method": Group("METHODS", "rps_bench.methods", "method"),
    "arch": Group("ARCHITECTURES", "rps_bench.archs", "network"),
    "dataset": Group("DATASETS", "rps_bench.datasets", "dataset"),
}


def registry_of(group: str) -> dict[str, Any]:
    """The dict that holds a group's names, the package's own among them; imports only its room."""
    if group == "dataset":
        from rps_bench.datasets.info import DATASETS

        return DATASETS
    if group == "arch":
        from rps_bench.models import ARCHITECTURES

        return ARCHITECTURES
    if group == MAP:
        from rps_bench.methods.sharing.sharing_map import MAP_TYPES

        return MAP_TYPES
    from rps_bench.methods import METHODS

    return METHODS


def names_of_plugins(group: str) -> list[str]:
    """The names of a group that plugins gave."""
    return [name for kind, name in ORIGINS if kind == group]

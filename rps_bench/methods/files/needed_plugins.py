"""Which plugins a compressed file needs: named in its header, and asked for when it is read."""

from collections.abc import Mapping
from typing import Any

from rps_bench.core.errors import UserError
from rps_bench.core.origins import MAP, ORIGINS
from rps_bench.methods.sharing.sharing_map import MAP_TYPES
from rps_bench.models import ARCHITECTURES

KEY = "plugins"  # of a header
_KINDS = {"arch": "network", MAP: "sharing map"}


class MissingPluginError(UserError):
    """A file cannot be read before a plugin is loaded; the line lacks the file's name."""


def name_plugins(header: Mapping[str, Any]) -> dict[str, str]:
    """The plugins, by their names alone, of a header's network and map, of those that are one's."""
    found = {group: ORIGINS.get((group, name)) for group, name in _names(header).items()}
    return {group: origin.name for group, origin in found.items() if origin is not None}


def require_plugins(header: Mapping[str, Any], has_network: bool) -> None:
    """Raise a MissingPluginError for a plugin that the file needs and that is not loaded.

    Args:
        header: Of the file.
        has_network: Whether the reader was given a network to fill.
    """
    known: dict[str, Mapping[str, Any]] = {"arch": ARCHITECTURES, MAP: MAP_TYPES}
    needed, names = header.get(KEY, {}), _names(header)
    for group, kind in _KINDS.items():
        if group not in needed or (has_network and group == "arch"):
            continue
        if names.get(group) not in known[group]:
            raise MissingPluginError(
                f"it needs the {kind} {names.get(group)} of the plugin {needed[group]}: load that "
                "first, with rps_bench.load_plugins([...]) or plugins=[...]"
            )


def _names(header: Mapping[str, Any]) -> dict[str, Any]:
    """What the header calls its network, if it is one by name, and its map."""
    architecture = header["architecture"] or {}
    return {"arch": architecture.get("name"), MAP: header["map"].get("kind")}

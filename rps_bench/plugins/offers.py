"""From what a plugin offers to names that can be chosen: checked, free, and put beside the own."""

import sys
from types import ModuleType
from typing import Any

from rps_bench.core.errors import UserError, one_line
from rps_bench.core.origins import MAP, ORIGINS, Origin
from rps_bench.plugins.groups import GROUPS, registry_of
from rps_bench.plugins.installed import find_origin, list_installed

Offers = dict[tuple[str, str], Any]  # (group, name) -> what is offered


def provide(group: str, name: str) -> Origin | None:
    """Import what an installed package offers under a name, unless that is done.

    Returns:
        Where the name comes from; None for this package's own, and for names that nobody knows.

    Raises:
        UserError: It cannot be imported, or breaks the contract.
    """
    known = ORIGINS.get((group, name))
    found = list_installed().get((group, name))
    if known is not None or found is None:
        return known
    origin = find_origin(found)
    try:
        offered = found.load()
    except UserError as error:
        raise UserError(f"{origin}: {error}") from error
    except (Exception, SystemExit) as error:
        what = f"{GROUPS[group].noun} {name} cannot be imported"
        raise UserError(f"{origin}: {what} ({describe_failure(error)})") from error
    accept({(group, name): offered}, sys.modules[found.module], origin)
    return origin


def accept(offers: Offers, module: ModuleType, origin: Origin) -> None:
    """Register what a plugin offers: all of it, or nothing if some is not as it should be.

    Args:
        offers: Methods, networks and datasets.
        module: Where they come from; the sharing maps that it defines are its plugin's, too, as
            compressed files name them.
        origin: The plugin.

    Raises:
        UserError: A broken contract, or a name that is taken.
    """
    for (group, name), offered in offers.items():
        _check(group, name, offered, origin)
    for group, name in offers:
        _refuse_taken(group, name, origin)
    for (group, name), offered in offers.items():
        registry_of(group)[name] = offered
        ORIGINS[group, name] = origin
    for kind in _find_maps(module):
        ORIGINS[MAP, kind] = origin


def describe_failure(error: BaseException) -> str:
    """Why code of a plugin failed, in one line."""
    return one_line(f"{type(error).__name__}: {error}".splitlines()[0])


def _check(group: str, name: str, offered: Any, origin: Origin) -> None:
    from rps_bench.plugins.contracts import BrokenError, check_offer

    try:
        check_offer(group, name, offered)
    except BrokenError as error:
        raise UserError(f"{origin}: {error}") from error


def _find_maps(module: ModuleType) -> list[str]:
    """The kinds of the sharing maps that a module defined: importing it made them known."""
    if "rps_bench.methods" not in sys.modules:
        return []  # a module of datasets alone
    from rps_bench.methods.sharing.sharing_map import MAP_TYPES

    return [kind for kind, map_type in MAP_TYPES.items() if map_type.__module__ == module.__name__]


def _refuse_taken(group: str, name: str, origin: Origin) -> None:
    """Raise a UserError if the name is another's already."""
    installed = list_installed().get((group, name))
    other = ORIGINS.get((group, name))
    if other is None and installed is not None:
        other = find_origin(installed)
    noun = GROUPS[group].noun
    if other is not None and other != origin:
        raise UserError(f"{origin}: the {noun} {name} is one of {other}, too; rename one of them")
    if other is None and name in registry_of(group):
        raise UserError(f"{origin}: the {noun} {name} is one of rps_bench itself; rename it")

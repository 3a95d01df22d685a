"""Plugins of installed packages: known by their entry points, imported only when one is chosen."""

import json
import sys
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points

from rps_bench.core.conf_folder import config_folder
from rps_bench.core.errors import UserError
from rps_bench.core.origins import Origin
from rps_bench.plugins.digests import digest_files, files_of_module
from rps_bench.plugins.groups import GROUPS

Installed = dict[tuple[str, str], EntryPoint]


def list_installed() -> Installed:
    """What installed packages offer: (group, name) -> entry point. Nothing of it is imported.

    Raises:
        UserError: Two of them offer the same name, or one a name of this package.
    """
    return _scan(tuple(sys.path))


def find_origin(point: EntryPoint) -> Origin:
    """The distribution; of one that is edited in place the code too, as its version stays."""
    distribution = point.dist
    assert distribution is not None, "entry points of installed packages have one"
    files = files_of_module(point.module) if _is_edited(distribution) else ()
    sha256 = digest_files(files) if files else None
    return Origin(_name_of(point), "package", distribution.version, sha256)


@cache
def _scan(paths: tuple[str, ...]) -> Installed:
    """The entry points that are found on these paths."""
    found: Installed = {}
    for group, (_, entry_group, noun) in GROUPS.items():
        for point in entry_points(group=entry_group):
            other = found.setdefault((group, point.name), point)
            if other.value != point.value:
                names = " and ".join(sorted((_name_of(other), _name_of(point))))
                raise UserError(f"the plugins {names} both offer a {noun} {point.name}")
    for group, name in found:
        _refuse_own(group, name, found[group, name])
    return found


def _refuse_own(group: str, name: str, point: EntryPoint) -> None:
    """Refuse a name of this package, by its yaml: its classes would need torch."""
    if (config_folder() / group / f"{name}.yaml").is_file():
        noun = GROUPS[group].noun
        line = f"the {noun} {name} is one of rps_bench itself; uninstall it, or rename that"
        raise UserError(f"plugin {_name_of(point)}: {line}")


def _is_edited(distribution: Distribution) -> bool:
    """Whether a distribution was installed with ``pip install -e``."""
    text = distribution.read_text("direct_url.json")
    try:
        return bool(text and json.loads(text).get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return False


def _name_of(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module

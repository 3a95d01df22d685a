"""What a plugin's method, network or dataset must hold, checked before any run can choose it.

Each check raises one line that says what is missing and what would do. ``methods/base.py`` and
``datasets/info.py`` hold the contracts themselves.
"""

import inspect
import math
import re
from collections.abc import Callable
from typing import Any

from rps_bench.core.errors import UserError
from rps_bench.core.shown import show
from rps_bench.datasets.info import DatasetInfo
from rps_bench.plugins.groups import GROUPS, registry_of
from rps_bench.plugins.options import check_defaults

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_TAKEN = ("true", "false", "null", "none", "nan", "inf", "infinity")  # other values for Hydra


class BrokenError(UserError):
    """What a plugin offers under a name is not what it should be; the line lacks whose it is."""


def check_offer(group: str, name: str, offered: Any) -> None:
    """Raise a BrokenError unless this can be a choice of the group under this name."""
    noun = GROUPS[group].noun
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.lower() in _TAKEN:
        raise BrokenError(
            f"{show(name)} cannot name a {noun}: up to 40 letters, digits and _ are allowed, a "
            f"letter first, and none of {', '.join(_TAKEN)}"
        )
    try:
        CHECKS[group](name, offered)
    except BrokenError as error:
        raise BrokenError(f"{noun} {name} {error}") from error.__cause__


def _check_method(name: str, offered: Any) -> None:
    from rps_bench.methods.base import Method

    _require_class(offered, Method, "rps_bench.methods.base.Method")
    if missing := sorted(offered.__abstractmethods__):
        raise BrokenError(f"must define {', '.join(missing)}")
    if "__dataclass_fields__" not in vars(offered):
        raise BrokenError("needs @dataclass(frozen=True) above its class")
    if getattr(offered, "name", None) != name:
        own = getattr(offered, "name", None)
        raise BrokenError(f"needs name: ClassVar[str] = {name!r} in its class, got {show(own)}")
    own_kinds = (getattr(method, "kind", None) for method in registry_of("method").values())
    kinds = sorted({kind for kind in own_kinds if kind is not None})
    if kinds and getattr(offered, "kind", None) not in kinds:
        given = getattr(offered, "kind", None)
        raise BrokenError(
            f"needs kind: ClassVar[str], one of {', '.join(kinds)}, got {show(given)}"
        )
    _check_map_of(offered)
    try:
        check_defaults(offered)
    except UserError as error:
        raise BrokenError(str(error)) from error


def _check_map_of(method: type) -> None:
    """Raise a BrokenError if this is a sharing method without a map that files can name."""
    from rps_bench.methods.sharing.base import SharingMethod
    from rps_bench.methods.sharing.sharing_map import SharingMap

    if not issubclass(method, SharingMethod):
        return
    map_type = getattr(method, "map_type", None)
    if not inspect.isclass(map_type) or not issubclass(map_type, SharingMap):
        raise BrokenError(f"needs map_type, a subclass of SharingMap, got {_shown(map_type)}")
    if "kind" not in vars(map_type):
        raise BrokenError(f"needs a kind of its own in its map {map_type.__name__}: kind = 'NAME'")


def _check_architecture(name: str, offered: Any) -> None:
    import torch

    from rps_bench.models.base import Network

    _require_class(offered, Network, "rps_bench.models.base.Network")
    width = getattr(offered, "default_width", None)
    if type(width) is not int or width < 1:
        raise BrokenError(f"needs default_width, a whole number from 1 up, got {show(width)}")
    smallest = offered.smallest_image
    if type(smallest) is not int or smallest < 1:
        raise BrokenError(f"needs smallest_image, a whole number from 1 up, got {show(smallest)}")
    try:
        inspect.signature(offered).bind(10, width, None)
    except TypeError as error:
        wanted = f"{offered.__name__}(num_classes, width, generator)"
        raise BrokenError(f"must be built as {wanted} ({error})") from error
    try:
        with torch.device("meta"):
            network = offered(10, width, None)
    except Exception as error:
        raise BrokenError(f"cannot be built ({type(error).__name__}: {error})") from error
    for attribute, value in (("num_classes", 10), ("width", width)):
        if getattr(network, attribute, None) != value:
            raise BrokenError(f"must keep {attribute} as an attribute: self.{attribute}")


def _check_dataset(name: str, offered: Any) -> None:
    if not isinstance(offered, DatasetInfo):
        raise BrokenError(f"must be a rps_bench.datasets.DatasetInfo, got {_shown(offered)}")
    if offered.name != name:
        raise BrokenError(f"needs name={name!r}, got {show(offered.name)}")
    for key in ("num_classes", "image_size", "num_train", "num_test"):
        value = getattr(offered, key)
        if type(value) is not int or value < 1:
            raise BrokenError(f"needs {key}, a whole number from 1 up, got {show(value)}")
    smallest = offered.smallest_size
    if type(smallest) is not int or not 1 <= smallest <= offered.image_size:
        wanted = f"a whole number from 1 to its image_size {offered.image_size}"
        raise BrokenError(f"needs smallest_size, {wanted}, got {show(smallest)}")
    _check_channels("mean", offered.mean, 0.0)
    _check_channels("std", offered.std, math.ulp(0.0))
    if not isinstance(offered.flip, bool):
        raise BrokenError(f"needs flip=True or flip=False, got {show(offered.flip)}")
    if not callable(offered.load) and None in (offered.hub, offered.archive):
        raise BrokenError("needs load, a function from the data root to its images and labels")


CHECKS: dict[str, Callable[[str, Any], None]] = {
    "method": _check_method,
    "arch": _check_architecture,
    "dataset": _check_dataset,
}


def _require_class(offered: Any, base: type, written: str) -> None:
    if not inspect.isclass(offered) or not issubclass(offered, base):
        raise BrokenError(f"must be a subclass of {written}, got {_shown(offered)}")


def _check_channels(key: str, values: Any, low: float) -> None:
    is_sound = isinstance(values, tuple) and len(values) == 3
    numbers = values if is_sound else ()
    if not is_sound or not all(
        isinstance(number, int | float) and math.isfinite(number) and number >= low
        for number in numbers
    ):
        above = "above 0" if low else "from 0 up"
        raise BrokenError(f"needs {key}, three numbers {above}, one a channel, got {show(values)}")


def _shown(offered: Any) -> str:
    """What was given instead: a class by its name, anything else by its type."""
    return f"the class {offered.__name__}" if inspect.isclass(offered) else type(offered).__name__

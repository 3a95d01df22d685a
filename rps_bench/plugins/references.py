"""How a plugin is named: a Python file by its path, or a module as one would import it."""

import re
from pathlib import Path

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.shown import show

KEY = "plugins"
ENDING = ".py"

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_UNFIT = ('"', "\\", "${")  # what Hydra would read as another text


def read_references(value: object) -> tuple[str, ...]:
    """The plugins of a list, each once; of files the whole path, as workers may start elsewhere.

    Raises:
        UserError: Not a list of files that are there and modules.
    """
    if not isinstance(value, list | tuple):
        hint = f"; type [{value}]" if isinstance(value, str) else ""
        wanted = "a list of files and modules such as [my_methods.py]"
        raise UserError(f"{KEY} must be {wanted}, got {show(value)}{hint}")
    return tuple(dict.fromkeys(_locate(checks.path(KEY, each)) for each in value))


def is_file(reference: str) -> bool:
    """Whether a plugin is named by a path, not as a module."""
    return reference.endswith(ENDING) or "/" in reference


def _locate(reference: str) -> str:
    if not is_file(reference):
        if _MODULE.fullmatch(reference):
            return reference
        wanted = f"a file such as my_methods{ENDING} nor a module such as my_package.methods"
        raise UserError(f"{KEY}: {show(reference)} is neither {wanted}")
    path = Path(reference).resolve()
    if not path.is_file():
        raise UserError(f"{KEY}: there is no file {reference}")
    if path.suffix != ENDING:
        raise UserError(f"{KEY}: {reference} is no Python file, whose name would end in {ENDING}")
    if any(sign in str(path) for sign in _UNFIT):
        raise UserError(f"{KEY}: the path {path} holds one of {' '.join(_UNFIT)}; move the file")
    return str(path)

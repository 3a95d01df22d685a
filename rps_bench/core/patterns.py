"""Patterns of names, as a user types them: a text with commas, or a list."""

from collections.abc import Sequence

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.shown import show

Patterns = str | int | Sequence[str | int] | None


def read_patterns(key: str, value: object) -> tuple[str, ...]:
    """The patterns of a value; whole numbers name modules, too, and null is none.

    Raises:
        UserError: Something else, or a pattern that is empty.
    """
    if value is None:
        return ()
    words: list[str] = []
    for part in value if isinstance(value, list | tuple) else [value]:
        if type(part) is not int and not isinstance(part, str):
            raise _no_patterns(key, value)
        words += [word.strip() for word in str(part).split(",")]
    if not words or not all(words):
        raise _no_patterns(key, value)
    return tuple(checks.text(key, word) for word in words)


def _no_patterns(key: str, value: object) -> UserError:
    wanted = "null or a list of name patterns such as [blocks.*,head]"
    return UserError(f"{key} must be {wanted}, got {show(value)}")

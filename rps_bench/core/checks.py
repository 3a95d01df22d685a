"""Checks of single values a user gave: each returns the value typed, or raises one clear line."""

import math
import os
import unicodedata
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from rps_bench.core.errors import UserError
from rps_bench.core.nearest import did_you_mean, unknown_name
from rps_bench.core.shown import show, suggest

SIGNIFICANT_DIGITS = 12
LARGEST_SEED = 2**63 - 1
_UNFIT = {"Cc", "Cs"}  # Unicode categories: control characters and lone surrogates


def refuse(
    key: str, wanted: str, value: object, fits: Callable[[object], bool] = lambda value: False
) -> NoReturn:
    """Raise a UserError, one line, for a value that is not allowed.

    Args:
        key: What to call it.
        wanted: What is allowed, in words.
        value: What was given.
        fits: Whether another value would be allowed; one that fits and may have been meant is
            suggested.
    """
    hint = suggest(value, lambda meant: fits(meant) or (meant is None and "null" in wanted))
    if isinstance(value, list) and len(value) > 1 and fits(value[0]):
        hint = f"; a sweep (-m) has its values without brackets: {','.join(map(show, value))}"
    raise UserError(f"{key} must be {wanted}, got {show(value)}{hint}")


def number(
    key: str,
    value: object,
    wanted: str = "a finite number",
    holds: Callable[[float], bool] = lambda number: True,
) -> float:
    """The value as a float of 12 significant digits.

    Digits beyond these are rounding noise, as in 0.1 + 0.2, and would tell apart runs that are
    meant to be the same.

    Args:
        key: What to call it in the message.
        value: Anything.
        wanted: What is allowed, in words.
        holds: Whether a finite number is allowed.

    Raises:
        UserError: Not a finite number, or one that is not allowed.
    """

    def fits(value: object) -> bool:
        return _is_finite(value) and holds(round_float(float(value)))  # type: ignore[arg-type]

    if not fits(value):
        refuse(key, wanted, value, fits)
    return round_float(float(value))  # type: ignore[arg-type]


def round_float(number: float) -> float:
    """The float nearest to the number's first 12 significant digits."""
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}")


def positive_number(key: str, value: object) -> float:
    """The value as a float above 0."""
    return number(key, value, "a finite number above 0", lambda number: number > 0)


def compression_ratio(value: object) -> float:
    """The value as a compression c, from 1 up."""
    return number("compression", value, "a finite number >= 1", lambda ratio: ratio >= 1)


def whole_number(key: str, value: object, low: int, high: int | None = None, also: str = "") -> int:
    """The value as an int in [low, high].

    Args:
        key: What to call it in the message.
        value: Anything.
        low: The smallest that is allowed.
        high: The largest, None for no end.
        also: What else the caller takes, for the message, such as ``null or ``.

    Raises:
        UserError: Not a whole number (true and 2.0 do not count), or out of bounds.
    """

    def fits(value: object) -> bool:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return is_whole and low <= value and (high is None or value <= high)  # type: ignore[operator]

    if not fits(value):
        bounds = f"from {low} up" if high is None else f"from {low} to {high}"
        refuse(key, f"{also}a whole number {bounds}", value, fits)
    return value  # type: ignore[return-value]


def seed(key: str, value: object, also: str = "") -> int:
    """The value as a seed: a whole number of 63 bits; ``also`` as in `whole_number`.

    Raises:
        UserError: Anything else.
    """
    return whole_number(key, value, 0, LARGEST_SEED, also)


def truth_value(key: str, value: object) -> bool:
    """The value as a bool; words that only look like one are refused."""
    if not isinstance(value, bool):
        refuse(key, "true or false", value, lambda meant: isinstance(meant, bool))
    return value


def text(key: str, value: object) -> str:
    """The value as a non-empty text without control characters or lone surrogates."""
    if (
        isinstance(value, str)
        and value.strip()
        and not _UNFIT.intersection(map(unicodedata.category, value))
    ):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    hint = f"; as a text it is typed '{key}=\"{show(value)}\"'" if is_number else ""
    raise UserError(f"{key} must be a non-empty text, got {show(value)}{hint}")


def short_text(key: str, value: object, longest: int) -> str:
    """The value as a `text` of at most ``longest`` characters."""
    written = text(key, value)
    if len(written) > longest:
        raise UserError(f"{key} must have at most {longest} characters, got {len(written)}")
    return written


def path(key: str, value: object) -> str:
    """The value as a path, its ``~`` or ``~user`` expanded, which a shell leaves alone in quotes.

    Raises:
        UserError: Not a text, the home of an unknown user, or the word None (null is meant).
    """
    written = text(key, value)
    if written == "None":
        raise UserError(f"{key} must be a path, got 'None'; for none type null, or leave it out")
    expanded = os.path.expanduser(written)
    if expanded.startswith("~"):
        home = written.partition("/")[0]
        raise UserError(f"{key} is {show(written)}, but {home} is nobody's home; type ./{written}")
    return expanded


def choice(key: str, value: object, allowed: Collection[str]) -> str:
    """The value as one of the allowed names."""
    if isinstance(value, str) and value in allowed:
        return value
    hint = did_you_mean(value, allowed)
    raise UserError(f"{key} must be one of {', '.join(allowed)}, got {show(value)}{hint}")


def keys(prefix: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Raise a UserError for a key that is not allowed, or one that is missing.

    Args:
        prefix: What to call a key by, before its name.
        table: Has just the allowed keys.
        allowed: All keys, without the prefix.
    """
    for key in table:
        if key not in allowed:
            raise unknown_name("key", f"{prefix}{key}", [f"{prefix}{name}" for name in allowed])
    for key in allowed:
        if key not in table:
            raise UserError(f"the key {prefix}{key} is missing")


def each(key: str, values: object, check: Callable[[str, object], Any]) -> tuple[Any, ...]:
    """The values of a non-empty list, each checked.

    Args:
        key: What to call them in the message.
        values: A list or a tuple.
        check: Called with the key and one value.
    """
    if isinstance(values, list | tuple) and values:
        return tuple(check(key, value) for value in values)
    is_bare = values is not None and not isinstance(values, list | tuple)
    hint = f"; type [{values}]" if is_bare else ""
    raise UserError(f"{key} must be a list with at least one value, got {show(values)}{hint}")


def _is_finite(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False

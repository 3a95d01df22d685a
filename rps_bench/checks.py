"""Checks of single values a user gave: each returns the value typed, or raises one clear line."""

import math
import unicodedata
from collections.abc import Callable, Collection
from typing import Any

from rps_bench.errors import UserError

_UNFIT = {"Cc", "Cs"}  # of Unicode: control characters, and halves that UTF-8 cannot write


def number(
    key: str,
    value: object,
    wanted: str = "a finite number",
    holds: Callable[[float], bool] = lambda number: True,
) -> float:
    """The value as a float.

    Args:
        key: What to call it in the message.
        value: Anything.
        wanted: What is allowed, in words.
        holds: Whether a finite number is allowed.

    Raises:
        UserError: Not a finite number, or one that is not allowed.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            result = float(value)
        except OverflowError:
            result = math.inf
        if math.isfinite(result) and holds(result):
            return result
    raise UserError(f"{key} must be {wanted}, got {value}")


def positive_number(key: str, value: object) -> float:
    """The value as a float above 0."""
    return number(key, value, "a finite number above 0", lambda number: number > 0)


def compression_ratio(value: object) -> float:
    """The value as a compression c, from 1 up."""
    return number("compression", value, "a finite number >= 1", lambda ratio: ratio >= 1)


def whole_number(key: str, value: object, low: int, high: int | None = None) -> int:
    """The value as an int in [low, high].

    Raises:
        UserError: Not a whole number (true and 2.0 are none), or out of bounds.
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and low <= value and (high is None or value <= high):  # type: ignore[operator]
        return value  # type: ignore[return-value]
    bounds = f"from {low} up" if high is None else f"from {low} to {high}"
    raise UserError(f"{key} must be a whole number {bounds}, got {value}")


def truth_value(key: str, value: object) -> bool:
    """The value as a bool; words that only look like one are refused."""
    if isinstance(value, bool):
        return value
    raise UserError(f"{key} must be true or false, got {value}")


def text(key: str, value: object) -> str:
    """The value as a non-empty text without control characters and halves of characters."""
    if (
        isinstance(value, str)
        and value.strip()
        and not _UNFIT.intersection(map(unicodedata.category, value))
    ):
        return value
    raise UserError(f"{key} must be a non-empty text, got {value!r}")


def choice(key: str, value: object, allowed: Collection[str]) -> str:
    """The value as one of the allowed names."""
    if isinstance(value, str) and value in allowed:
        return value
    raise UserError(f"{key} must be one of {', '.join(allowed)}, got {value}")


def each(key: str, values: object, check: Callable[[str, object], Any]) -> tuple[Any, ...]:
    """The values of a non-empty list, each checked.

    Args:
        key: What to call them in the message.
        values: A list or a tuple.
        check: Called with the key and one value.
    """
    if not isinstance(values, list | tuple) or not values:
        raise UserError(f"{key} must be a list with at least one value, got {values}")
    return tuple(check(key, value) for value in values)

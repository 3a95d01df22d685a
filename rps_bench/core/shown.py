"""Values as messages show them: their kind is visible, and a hint says what to type instead.

A text is quoted if it could be taken for another kind: ``'2'`` is not a number.
"""

import re
from collections.abc import Callable, Iterator, Mapping

LONGEST_SHOWN = 80  # characters
_PLAIN = re.compile(r"[A-Za-z_/][\w./:+-]*", re.ASCII)
_TRUE, _FALSE, _NULL = ("true", "yes", "on"), ("false", "no", "off"), ("null", "none", "~")
_TAKEN = {"true", "false", "null", "none", "nan", "inf", "infinity"}  # words with another meaning


def show(value: object) -> str:
    """The value as one would type it, shortened where it is long."""
    shown = _show(value)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[: LONGEST_SHOWN - 3]}..."


def suggest(value: object, fits: Callable[[object], bool]) -> str:
    """A hint such as ``; type 2 without quotes``, with a value that fits; empty if there is none.

    Args:
        value: What was given.
        fits: Whether another value would be allowed.
    """
    for meant in _readings(value):
        if fits(meant):
            quotes = " without quotes" if isinstance(value, str) and _holds(value, meant) else ""
            return f"; type {show(meant)}{quotes}"
    return ""


def _show(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and value.lower() not in _TAKEN
        return value if is_plain else repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_show, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_show(key)}: {_show(own)}' for key, own in value.items())}}}"
    return str(value)


def _holds(text: str, meant: object) -> bool:
    """Whether the text is this value apart from quotes."""
    return text.strip(" '\"").lower() == show(meant)


def _readings(value: object) -> Iterator[object]:
    """Values of other kinds that the user may have meant."""
    if isinstance(value, str):
        word = value.strip(" '\"").lower()
        yield from (meant for words, meant in _WORDS if word in words)
        yield word
        for kind in (int, float):
            try:
                number = kind(word)
            except ValueError:
                continue
            yield number
            yield from _whole(number)
        return
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _whole(value)
        yield from (meant for number, meant in ((1, True), (0, False)) if value == number)


_WORDS: tuple[tuple[tuple[str, ...], object], ...] = ((_TRUE, True), (_FALSE, False), (_NULL, None))


def _whole(number: float) -> Iterator[int]:
    """The number as an int, if it is a float without a fraction."""
    if isinstance(number, float) and number.is_integer():
        yield int(number)

"""Errors for unknown names: the message lists the allowed names and suggests the nearest."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from rps_bench.core.errors import UserError
from rps_bench.core.shown import show

FEWEST_LETTERS = 3  # of a prefix that suggests the whole name


def unknown_name(what: str, name: str, allowed: Collection[str]) -> UserError:
    """The error for a name that is not allowed.

    Args:
        what: The kind of name, such as ``key``.
        name: As the user gave it.
        allowed: All names that are allowed.
    """
    listed = ", ".join(allowed) or "none"
    return UserError(f"unknown {what} {show(name)}; allowed: {listed}{did_you_mean(name, allowed)}")


def no_pair(word: str, keys: Iterable[str]) -> UserError:
    """The error for a word that is not ``key=value``."""
    hint = did_you_mean(f"{word.partition('=')[0]}=", [f"{key}=" for key in keys])
    return UserError(f"an option is written key=value, without spaces, got {show(word)}{hint}")


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """A hint such as ``; did you mean recipe.epochs?``, empty if no name is near.

    Only the last part of a dotted key is compared.
    """
    names: dict[str, str] = {}
    for name in allowed:
        names.setdefault(_last_part(name), name)
    given = _last_part(str(word))
    near = get_close_matches(given, names, 1) or [
        name for name in names if len(given) >= FEWEST_LETTERS and name.startswith(given)
    ]
    return f"; did you mean {names[near[0]]}?" if near else ""


def _last_part(key: str) -> str:
    return key.rpartition(".")[2].casefold().strip()

"""Command lines read by argparse: wrong words are refused in one line, like all bad input."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.nearest import did_you_mean
from rps_bench.core.shown import show


class Parser(argparse.ArgumentParser):
    """A parser that raises a UserError for a wrong word, where argparse ends the process."""

    def error(self, message: str) -> NoReturn:
        """Refuse the words."""
        refuse_words(self, message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        names = ", ".join(map(str, action.choices))
        hint = did_you_mean(value, map(str, action.choices))
        if not hint and action.nargs == "+":
            hint = f"; other words must come before {action.option_strings[0]}"
        raise argparse.ArgumentError(action, f"must be one of {names}, got {show(value)}{hint}")


def refuse_words(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """Raise a UserError for words that a parser does not take, with the nearest flag.

    Raises:
        UserError: Always.
    """
    unknown = message.partition("unrecognized arguments: ")[2].split()
    flags = [word.partition("=")[0] for word in unknown if word.startswith("--")]
    hint = did_you_mean(flags[0], _find_flags(parser)) if flags else ""
    if flags and not hint and any(_takes_pairs(action) for action in parser._actions):
        hint = "; options are written key=value, without --"
    help_hint = "" if "did you mean" in message else "; --help shows what is allowed"
    raise UserError(f"{message}{hint or help_hint}")


def to_path(word: str) -> Path:
    """The path that a word names, for argparse's ``type``."""
    if word.startswith("results_dir="):
        raise argparse.ArgumentTypeError("the folder is given alone, without results_dir=")
    try:
        return Path(checks.path("the path", word))
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _find_flags(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The flags of a parser and of its commands."""
    for action in parser._actions:
        yield from action.option_strings
        commands = action.choices if isinstance(action, argparse._SubParsersAction) else {}
        for command in commands.values():
            yield from _find_flags(command)


def _takes_pairs(action: argparse.Action) -> bool:
    """Whether an argument is ``key=value`` words."""
    return "=" in str(action.metavar) or action.dest == "overrides"

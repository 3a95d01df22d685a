"""The words of a command line: Hydra's flags and ``key=value`` overrides, in any order."""

import argparse
import math
import re
from collections.abc import Sequence
from functools import partial

from hydra._internal.utils import get_args_parser

from rps_bench.core.arguments import refuse_words
from rps_bench.core.errors import UserError
from rps_bench.core.shown import show

INFORMATION_FLAGS = ("help", "hydra_help", "version", "cfg", "resolve", "info", "shell_completion")

WATCH_SECONDS, LONGEST_WATCH_SECONDS = 5.0, 3600.0

# Of Hydra's flags those that would read another config, or repeat an earlier run.
_INSTEAD = {
    "config_path": "--config-dir FOLDER adds yaml files of your own",
    "config_name": "--config-dir FOLDER adds yaml files of your own, experiment=NAME takes one",
    "experimental_rerun": "give the same command again: it does what is not recorded yet",
}


def parse_words(words: list[str]) -> argparse.Namespace:
    """Hydra's flags and the overrides.

    Raises:
        UserError: An unknown flag, one that is not taken here, or one without its other.
    """
    parser = get_args_parser()
    parser.error = partial(refuse_words, parser)  # type: ignore[method-assign]
    arguments = parser.parse_intermixed_args(quote_homes(words))
    for flag, instead in _INSTEAD.items():
        if getattr(arguments, flag, None) is not None:
            raise UserError(f"--{flag.replace('_', '-')} is not taken; {instead}")
    _check_together(arguments)
    return arguments


def take_watch(words: Sequence[str]) -> tuple[list[str], float | None]:
    """The words without ``--watch`` and its seconds, and the seconds; None where it is not there.

    Raises:
        UserError: It is there twice, or with what is no such number.
    """
    rest, seconds = list(words), None
    for index in [i for i, word in enumerate(rest) if re.fullmatch("--watch(=.*)?", word)][::-1]:
        if seconds is not None:
            raise UserError("--watch is given once")
        _, is_given, value = rest.pop(index).partition("=")
        # Words with = or a sign before them are of the sweep.
        if not is_given and index < len(rest) and re.fullmatch(r"[^-+~=][^=]*", rest[index]):
            value, is_given = rest.pop(index), "="
        seconds = _read_seconds(value) if is_given else WATCH_SECONDS
    return rest, seconds


def _read_seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= LONGEST_WATCH_SECONDS:
        wanted = f"seconds from 1 to {LONGEST_WATCH_SECONDS:.0f}"
        raise UserError(f"--watch takes {wanted} between two looks, got {show(value)}")
    return seconds


def _check_together(arguments: argparse.Namespace) -> None:
    """Refuse flags that exclude each other, or do nothing without another."""
    if arguments.help or arguments.hydra_help:
        return
    flags = ("run", "multirun", "cfg", "info", "shell_completion")
    given = [f"--{flag.replace('_', '-')}" for flag in flags if getattr(arguments, flag)]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} exclude each other")
    for flag in ("package", "resolve"):
        if getattr(arguments, flag) and arguments.cfg is None:
            raise UserError(f"--{flag} goes with --cfg: add --cfg job, hydra or all")


def asks_for_information(arguments: argparse.Namespace) -> bool:
    """Whether a flag such as --help is among the words."""
    return any(getattr(arguments, flag, None) for flag in INFORMATION_FLAGS)


def quote_homes(words: Sequence[str]) -> list[str]:
    """The words with quotes in ``key=~/folder``, which Hydra cannot read and a shell may leave."""
    return [re.sub(r"^([\w./]+)=(~[\w./-]*)$", r"\1='\2'", word) for word in words]

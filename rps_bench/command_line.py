"""The words of a command line: Hydra's flags and ``key=value`` overrides, in any order."""

import argparse
import re
from collections.abc import Sequence
from functools import partial

from hydra._internal.utils import get_args_parser

from rps_bench.arguments import refuse_words

INFORMATION_FLAGS = ("help", "hydra_help", "version", "cfg", "resolve", "info", "shell_completion")

# Of Hydra's flags those that would read another config, or unpickle an earlier one.
_NOT_TAKEN = ("config_path", "config_name", "config_dir", "experimental_rerun")


def parse_words(words: list[str]) -> argparse.Namespace:
    """Hydra's flags and the overrides.

    Raises:
        UserError: An unknown flag.
    """
    parser = get_args_parser()
    parser.error = partial(refuse_words, parser)  # type: ignore[method-assign]
    arguments = parser.parse_intermixed_args(quote_homes(words))
    for flag in _NOT_TAKEN:
        if getattr(arguments, flag, None) is not None:
            refuse_words(parser, f"unrecognized arguments: --{flag.replace('_', '-')}")
    return arguments


def asks_for_information(arguments: argparse.Namespace) -> bool:
    """Whether a flag such as --help is among the words."""
    return any(getattr(arguments, flag, None) for flag in INFORMATION_FLAGS)


def quote_homes(words: Sequence[str]) -> list[str]:
    """The words with quotes in ``key=~/folder``, which Hydra cannot read and a shell may leave."""
    return [re.sub(r"^([\w./]+)=(~[\w./-]*)$", r"\1='\2'", word) for word in words]

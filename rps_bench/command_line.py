"""The words of a command line: Hydra's flags and ``key=value`` overrides, in any order."""

import argparse

from hydra._internal.utils import get_args_parser

from rps_bench.errors import UserError

INFORMATION_FLAGS = ("help", "hydra_help", "version", "cfg", "resolve", "info", "shell_completion")

# Of Hydra's flags those that would read another config, or unpickle an earlier one.
_NOT_TAKEN = ("config_path", "config_name", "config_dir", "experimental_rerun")


def parse_words(words: list[str]) -> argparse.Namespace:
    """Hydra's flags and the overrides.

    Raises:
        UserError: An unknown flag.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign, assignment]
    arguments = parser.parse_intermixed_args(words)
    for flag in _NOT_TAKEN:
        if getattr(arguments, flag, None) is not None:
            _refuse(f"unrecognized arguments: --{flag.replace('_', '-')}")
    return arguments


def asks_for_information(arguments: argparse.Namespace) -> bool:
    """Whether a flag such as --help is among the words."""
    return any(getattr(arguments, flag, None) for flag in INFORMATION_FLAGS)


def _refuse(message: str) -> None:
    raise UserError(f"{message}; --help shows what is allowed")

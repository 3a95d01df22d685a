"""The words of a command line: Hydra's flags and ``key=value`` overrides, in any order."""

import argparse

from hydra._internal.utils import get_args_parser

from rps_bench.errors import UserError


def parse_words(words: list[str]) -> argparse.Namespace:
    """Hydra's flags and the overrides.

    Raises:
        UserError: An unknown flag.
    """
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign, assignment]
    return parser.parse_intermixed_args(words)


def _refuse(message: str) -> None:
    raise UserError(f"{message}; --help shows what is allowed")

"""`python -m rps_bench.tracking sync`: send what runs wrote for W&B while they were offline."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rps_bench.core.arguments import Parser, to_path
from rps_bench.core.errors import UserError
from rps_bench.core.output import command

# Commands that once were here.
MOVED = {
    "report": "python -m rps_bench.reports.dashboard report",
    "dashboard": "python -m rps_bench.reports.dashboard views",
}


@command
def main(words: Sequence[str] | None = None) -> int:
    """Send the runs; 0: done, 1: something was not sent, 2: bad input or no login."""
    words = sys.argv[1:] if words is None else words
    if words and words[0] in MOVED:
        raise UserError(f"{words[0]} is now: {MOVED[words[0]]}")
    options = _parse(words)
    from rps_bench.tracking.weights_and_biases.sync import sync_runs  # imports wandb

    return sync_runs(options.results_dir)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="python -m rps_bench.tracking",
        description="Send offline runs to W&B. Changes no record.",
    )
    actions = parser.add_subparsers(required=True, metavar="sync")
    help_line = "send the offline runs of a results folder"
    sync = actions.add_parser(
        "sync", help=help_line, description=f"{help_line}, each once.".capitalize()
    )
    sync.add_argument(
        "results_dir",
        nargs="?",
        default=Path("results"),
        type=to_path,
        help="the folder that holds records/ and wandb/ (default: results)",
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m rps_bench.tracking sync|dashboard`: pass on what runs wrote, and show it.

``sync`` sends to W&B what runs wrote while they were offline, and writes to trackio's files what a
killed process left. ``dashboard`` serves trackio's dashboard on this machine.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rps_bench.core import checks
from rps_bench.core.arguments import Parser, to_path
from rps_bench.core.errors import UserError
from rps_bench.core.output import command

MOVED = {"report": "python -m rps_bench.reports.dashboard report"}  # a command that once was here


@command
def main(words: Sequence[str] | None = None) -> int:
    """Do one of the two; 0: done, 1: something was not passed on, 2: bad input or no login."""
    words = sys.argv[1:] if words is None else words
    if words and words[0] in MOVED:
        raise UserError(f"{words[0]} is now: {MOVED[words[0]]}")
    options = _parse(words)
    status: int = options.action(options)
    return status


# What imports a dashboard's package is reached when it is asked for.
def _sync(options: argparse.Namespace) -> int:
    from rps_bench.tracking.trackio.sync import has_unwritten, write_left
    from rps_bench.tracking.weights_and_biases.session import FOLDER
    from rps_bench.tracking.weights_and_biases.sync import sync_runs

    status = 0
    if is_of_trackio := has_unwritten(options.results_dir):
        status = write_left(options.results_dir)
    if not is_of_trackio or (options.results_dir / FOLDER).is_dir():
        status = max(status, sync_runs(options.results_dir))
    return status


def _dashboard(options: argparse.Namespace) -> int:
    from rps_bench.tracking.trackio.dashboard import show_dashboard

    port = options.port and checks.whole_number("--port", options.port, 1, 65535)
    return show_dashboard(options.results_dir, options.project, port)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="python -m rps_bench.tracking",
        description="What runs told a dashboard: pass it on, or show it. Changes no record.",
    )
    actions = parser.add_subparsers(required=True, metavar="sync|dashboard")
    help_line = "send the offline runs of a results folder to W&B, write the left ones for trackio"
    sync = _add(actions.add_parser, "sync", help_line, ", each once")
    sync.set_defaults(action=_sync)
    help_line = "serve the trackio dashboard of a results folder on this machine"
    dashboard = _add(actions.add_parser, "dashboard", help_line, " until Ctrl-C")
    dashboard.set_defaults(action=_dashboard)
    dashboard.add_argument("--project", help="what to open (default: rps_bench, or the only one)")
    port = "on the loopback address (default: the first free one from 7860)"
    dashboard.add_argument("--port", type=int, help=port)
    return parser.parse_args(words)


def _add(
    add: Callable[..., argparse.ArgumentParser], name: str, help_line: str, more: str
) -> argparse.ArgumentParser:
    """A command on one results folder."""
    parser = add(name, help=help_line, description=f"{help_line[0].upper()}{help_line[1:]}{more}.")
    parser.add_argument(
        "results_dir",
        nargs="?",
        default=Path("results"),
        type=to_path,
        help="the folder that holds records/, and wandb/ or trackio/ (default: results)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""`python -m rps_bench.reports.dashboard report|views`: a results folder on dashboards."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rps_bench.core.arguments import Parser, to_path
from rps_bench.core.errors import UserError
from rps_bench.core.output import command
from rps_bench.tracking.trackio.runs import DEFAULT_PROJECT as TRACKIO_PROJECT
from rps_bench.tracking.trackio.runs import check_project as check_trackio_project
from rps_bench.tracking.weights_and_biases.environment import read_wishes
from rps_bench.tracking.weights_and_biases.tracker import DEFAULT_PROJECT, MODES, check_project

OF_WANDB = ("entity", "mode", "group", "dir")


@command
def main(words: Sequence[str] | None = None) -> int:
    """Do one of the two; 0: done, 2: bad input or no login."""
    options = _parse(words)
    status: int = options.action(options)
    return status


# What is heavy to import (wandb, trackio and their packages) is reached when it is asked for.
def _report(options: argparse.Namespace) -> int:
    send = _SENDERS[options.tracker]
    print(send(options))
    return 0


def _to_wandb(options: argparse.Namespace) -> str:
    project = _default_project() if options.project is None else options.project
    check_project(project)
    from rps_bench.reports.dashboard.tables import collect
    from rps_bench.reports.dashboard.wandb_report import send_to_wandb

    named = {key: getattr(options, key) for key in OF_WANDB}
    given = {key: value for key, value in named.items() if value is not None}
    contents = collect(options.results_dir)
    place = send_to_wandb(contents, options.results_dir, {"project": project} | given)
    return f"{contents.describe()}: {place}"


def _to_trackio(options: argparse.Namespace) -> str:
    for key in OF_WANDB:
        if getattr(options, key) is not None:
            raise UserError(f"--{key} is an option of W&B, which --tracker trackio does not have")
    project = TRACKIO_PROJECT if options.project is None else options.project
    check_trackio_project(project, "--project")
    from rps_bench.reports.dashboard.tables import collect
    from rps_bench.reports.dashboard.trackio_report import send_to_trackio

    contents = collect(options.results_dir)
    place = send_to_trackio(contents, options.results_dir, project)
    return f"{contents.describe()}: {place}"


_SENDERS: dict[str, Callable[[argparse.Namespace], str]] = {
    "wandb": _to_wandb,
    "trackio": _to_trackio,
}


def _views(options: argparse.Namespace) -> int:
    project = _default_project() if options.project is None else options.project
    check_project(project)
    from rps_bench.reports.dashboard.tables import find_figures
    from rps_bench.reports.dashboard.views import Target, build_views, publish_views

    target = Target(
        project=project,
        entity=options.entity or read_wishes(os.environ).entity or "",
        group=options.group,
        split=options.split,
        figures=tuple(find_figures(options.results_dir)),
    )
    if options.publish:
        print("\n".join(publish_views(target)))
        return 0
    views = build_views(target)
    if options.json:
        print(json.dumps([describe_view(view) for view in views], indent=2))
        return 0
    for view in views:
        print(f"{view.name}: " + ", ".join(section.name for section in view.sections))
    print("built and checked; --publish saves them on W&B, --json shows what would be sent")
    return 0


def describe_view(view: Any) -> dict[str, Any]:
    """What saving a view would send, as plain JSON values."""
    model = view._to_model()
    spec = model.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"name": view.name, "entity": view.entity, "project": view.project, "spec": spec}


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m rps_bench.reports.dashboard",
        description="What a dashboard shows of a results folder. None of it changes a record.",
    )
    actions = parser.add_subparsers(required=True, metavar="report|views")
    _add_report(actions.add_parser)
    _add_views(actions.add_parser)
    return parser.parse_args(words)


def _add_report(add: Callable[..., argparse.ArgumentParser]) -> None:
    words = "log the tables and figures of a results folder as one run"
    parser = add("report", help=words, description=f"{words}; works offline too.".capitalize())
    parser.set_defaults(action=_report)
    _add_folder(parser)
    trackers = "where to: wandb (default), or trackio, whose files lie in the results folder"
    parser.add_argument("--tracker", choices=_SENDERS, default="wandb", help=trackers)
    _add_place(parser)
    parser.add_argument(
        "--mode", choices=MODES, help="default: WANDB_MODE, else online when logged in"
    )
    parser.add_argument("--group", help="name of the sweep (default: WANDB_RUN_GROUP, else report)")
    where = "where wandb makes its folder (default: WANDB_DIR, else results_dir)"
    parser.add_argument("--dir", type=to_path, help=where)


def _add_views(add: Callable[..., argparse.ArgumentParser]) -> None:
    words = "build the views of the W&B dashboard, without a network"
    parser = add("views", help=words, description=f"{words}; see --publish.".capitalize())
    parser.set_defaults(action=_views)
    _add_folder(parser)
    _add_place(parser)
    parser.add_argument("--group", help="show one sweep only (default: all of the project)")
    parser.add_argument("--split", choices=("test", "validation"), default="test", help="of curves")
    parser.add_argument("--publish", action="store_true", help="save them on W&B as new views")
    parser.add_argument("--json", action="store_true", help="print what would be sent")


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results_dir",
        nargs="?",
        default=Path("results"),
        type=to_path,
        help="the folder that holds records/ and plots/ (default: results)",
    )


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--project", help=f"its project (default: {_default_project()})")
    words = "W&B user or team (default: WANDB_ENTITY, else the login's)"
    parser.add_argument("--entity", help=words)


def _default_project() -> str:
    return read_wishes(os.environ).project or DEFAULT_PROJECT


if __name__ == "__main__":
    sys.exit(main())

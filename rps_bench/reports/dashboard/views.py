"""The dashboard as code: two views of a W&B project, built without a network.

Needs the extra `dashboard` (wandb-workspaces). Colours are those of the figures.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rps_bench.core.errors import UserError
from rps_bench.reports.dashboard.panels import (
    MOST_RUNS,
    curves_section,
    diverged_section,
    pareto_section,
    side_by_side_section,
    tables_section,
)
from rps_bench.reports.dashboard.tables import JOB_TYPE
from rps_bench.reports.styles import METHOD_LOOKS
from rps_bench.tracking.relay.troubles import first_line
from rps_bench.tracking.weights_and_biases.environment import settle_environment
from rps_bench.tracking.weights_and_biases.sync import require_login

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace, WorkspaceSettings

PAPER_GRID = (1.0, 3.16, 10.0, 31.6, 100.0, 316.0, 1000.0)
COLUMNS = (
    "config:label", "config:compression", "config:seed", "summary:status", "summary:accuracy",
    "summary:best_accuracy", "summary:true_compression", "summary:stored_bytes", "summary:macs",
    "summary:total_train_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """The runs that a dashboard shows.

    Attributes:
        project: W&B project.
        entity: User or team; empty for the login's default, which only publishing knows.
        group: The sweep to show; None: all runs of the project.
        split: The split whose curves are drawn: test or validation.
        figures: Keys of the figures that the report run logs.
    """

    project: str
    entity: str = ""
    group: str | None = None
    split: str = "test"
    figures: tuple[str, ...] = ()


def build_views(target: Target) -> list["Workspace"]:
    """The view of the results and the view of diverged runs.

    Raises:
        UserError: wandb-workspaces is not installed.
    """
    require_package()
    return [_results_view(target), _diverged_view(target)]


def publish_views(target: Target) -> list[str]:
    """Save the views on W&B as new ones; return their addresses.

    Raises:
        UserError: Package or login is missing, or W&B refuses the views.
    """
    require_package()
    import wandb

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        settle_environment(scratch, os.environ)
        require_login()
        try:
            entity = target.entity or wandb.Api(timeout=30).default_entity or ""
            views = build_views(replace(target, entity=entity))
            return [_save(view) for view in views]
        except Exception as error:  # wandb may raise anything, and this command does nothing else
            raise UserError(f"W&B: {first_line(error)}") from error


def _save(view: "Workspace") -> str:
    save: Callable[[], Any] = view.save
    return str(save().url)


def require_package() -> None:
    """Raise a UserError unless wandb-workspaces is installed."""
    if find_spec("wandb_workspaces") is None:
        raise UserError("the dashboard needs wandb-workspaces: pip install 'rps_bench[dashboard]'")


def _results_view(target: Target) -> "Workspace":
    """The view of results, grouped by sweep, method and compression: means are over seeds."""
    import wandb_workspaces.workspaces as ws
    from wandb_workspaces import expr

    by_method: list[Any] = [expr.Config("label"), expr.Config("compression")]
    runs = ws.RunsetSettings(
        filters=_filters(target),
        groupby=by_method if target.group else [expr.Metric("Group"), *by_method],
        order=[expr.Ordering(expr.Summary("accuracy"), ascending=False)],
        group_colors=_group_colours() if target.group else {},
        pinned_columns=list(COLUMNS),
    )
    return ws.Workspace(
        entity=target.entity,
        project=target.project,
        name=f"{target.group or target.project}: results",
        sections=[
            pareto_section(target.figures),
            curves_section(target.split),
            side_by_side_section(),
            tables_section(),
        ],
        settings=_settings(),
        runset_settings=runs,
    )


def _diverged_view(target: Target) -> "Workspace":
    """The view of diverged runs, one row each, with the end of its training."""
    import wandb_workspaces.workspaces as ws

    runs = ws.RunsetSettings(
        filters=_diverged_filters(target),
        pinned_columns=[*COLUMNS[:4], "summary:reason", "config:recipe_lr"],
    )
    return ws.Workspace(
        entity=target.entity,
        project=target.project,
        name=f"{target.group or target.project}: diverged runs",
        sections=[diverged_section()],
        settings=_settings(),
        runset_settings=runs,
    )


def _settings() -> "WorkspaceSettings":
    import wandb_workspaces.workspaces as ws

    return ws.WorkspaceSettings(x_axis="epoch", max_runs=MOST_RUNS)


def _filters(target: Target) -> str:
    """A filter for the target's sweep and for the report run, which holds tables and figures."""
    if target.group is None:
        return ""
    return f'Metric("Group") == {target.group!r} or Metric("JobType") == "{JOB_TYPE}"'


def _diverged_filters(target: Target) -> str:
    of_sweep = "" if target.group is None else f' and Metric("Group") == {target.group!r}'
    return f'SummaryMetric("status") == "diverged"{of_sweep}'


def _group_colours() -> dict[object, object]:
    """The colours of methods, and of each method at each compression of the paper's grid."""
    import wandb_workspaces.workspaces as ws

    colours: dict[object, object] = {}
    for method, look in METHOD_LOOKS.items():
        colours[method] = look.colour
        for compression in PAPER_GRID:
            colours[ws.GroupPath(method, f"{compression:g}")] = look.colour
    return colours

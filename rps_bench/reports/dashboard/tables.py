"""The report run: one last run on the dashboard with Pareto table, all results and figures."""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rps_bench.core.errors import UserError
from rps_bench.reports.analysis.pareto import pareto_frontier
from rps_bench.reports.analysis.results import Results, read_results
from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS
from rps_bench.reports.tables.summary import summary_table
from rps_bench.tracking.weights_and_biases.environment import (
    read_wishes,
    settle_environment,
    tell_not_taken,
)
from rps_bench.tracking.weights_and_biases.session import RunToOpen, first_line, open_run

if TYPE_CHECKING:
    import wandb

JOB_TYPE = "report"
PARETO_TABLE, RUNS_TABLE = "pareto", "results"
_RESULTS = (
    "dataset", "arch", "recipe", "evaluation_split", "experiment_options", "protocol", "label",
    "compression", "true_compression", "seed", "status", "accuracy", "best_accuracy",
    "stored_bytes", "macs", "total_epochs", "total_train_seconds", "reason", "run_id",
)  # fmt: skip


def send_report(results_dir: str | Path, options: Mapping[str, Any]) -> str:
    """Log the report run of a results folder; works without a login, like other runs.

    Args:
        results_dir: Holds ``records/``, and ``plots/`` if figures were made.
        options: Options of the run: project, and optionally entity, mode, group and dir; those that
            are missing are taken from the user's variables.

    Returns:
        A line that says what was logged, and where it is.

    Raises:
        UserError: There is no record, or W&B refuses the run.
    """
    results = read_results(results_dir)
    if not results.records:
        raise UserError(f"no records under {results.results_dir / 'records'}: nothing to report")
    figures = find_figures(results.results_dir)
    wishes = read_wishes(os.environ)
    tell_not_taken(os.environ)
    by_variables = {"group": wishes.group or JOB_TYPE, "mode": wishes.mode, "dir": wishes.dir}
    wanted = RunToOpen(
        run_id=JOB_TYPE,
        results_dir=str(results_dir),
        name=wishes.name or f"report of {results.results_dir.resolve().name}",
        job_type=JOB_TYPE,  # the dashboard finds it by this
        notes=wishes.notes,
        tags=list(wishes.tags),
        config={"num_records": len(results.records)},
        **by_variables | dict(options),
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        settle_environment(scratch, os.environ)
        place = _log(wanted, results, figures)
    return f"tables of {len(results.records)} runs and {len(figures)} figures: {place}"


def _log(wanted: RunToOpen, results: Results, figures: Mapping[str, Path]) -> str:
    """Log everything as one row; return the address or folder where it can be seen."""
    import wandb

    try:
        run, note = open_run(wanted)
        values: dict[str, Any] = {
            PARETO_TABLE: _as_table(pareto_table(results.points)),
            RUNS_TABLE: _as_table(results.runs[list(_RESULTS)]),
        }
        values |= {key: wandb.Image(str(path)) for key, path in figures.items()}
        run.log(values, step=int(time.time()), commit=True)  # a later report's step is higher
        place = note or str(wanted.folder if run.offline else run.url)
        run.finish()
        wandb.teardown()
    except Exception as error:  # wandb may raise anything, and this command does nothing else
        raise UserError(f"W&B: {first_line(error)}") from error
    return place


def find_figures(results_dir: Path) -> dict[str, Path]:
    """The file of each figure by its key on the dashboard."""
    return {f"figures/{path.stem}": path for path in sorted((results_dir / "plots").rglob("*.png"))}


def pareto_table(points: pd.DataFrame) -> pd.DataFrame:
    """The summary, with a column that marks the points on the frontier of their experiment.

    ``on_frontier`` compares compression and mean accuracy; a point without a mean is never on it.
    """
    best: set[object] = set()
    for _, group in points.groupby(EXPERIMENT_KEYS, dropna=False):
        known = group[group["mean"].notna()]
        pairs = list(zip(known["compression"], known["mean"], strict=True))
        frontier = pareto_frontier(pairs)
        best |= {row for row, pair in zip(known.index, pairs, strict=True) if pair in frontier}
    return summary_table(points).assign(on_frontier=points.index.isin(list(best)))


def _as_table(frame: pd.DataFrame) -> "wandb.Table":
    """The frame as a table of wandb; missing values are null."""
    import wandb

    rows = frame.astype(object).where(frame.notna(), None)
    columns: list[Any] = list(frame.columns)
    data: list[Any] = rows.to_numpy().tolist()
    return wandb.Table(columns=columns, data=data)

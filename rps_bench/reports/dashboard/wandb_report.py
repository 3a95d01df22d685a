"""The report run on W&B: one last run with Pareto table, all results, claims and figures."""

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rps_bench.core.errors import UserError
from rps_bench.reports.dashboard.tables import JOB_TYPE, Contents
from rps_bench.tracking.relay.troubles import first_line
from rps_bench.tracking.weights_and_biases.environment import (
    read_wishes,
    settle_environment,
    tell_not_taken,
)
from rps_bench.tracking.weights_and_biases.session import RunToOpen, open_run

if TYPE_CHECKING:
    import wandb


def send_to_wandb(contents: Contents, results_dir: Path, options: Mapping[str, Any]) -> str:
    """Log the report run; works without a login, like other runs.

    Args:
        contents: What to log.
        results_dir: The results folder.
        options: Options of the run: project, and optionally entity, mode, group and dir; those that
            are missing are taken from the user's variables.

    Returns:
        The address or folder where it can be seen.

    Raises:
        UserError: W&B refuses the run.
    """
    wishes = read_wishes(os.environ)
    tell_not_taken(os.environ)
    by_variables = {"entity": wishes.entity, "mode": wishes.mode, "dir": wishes.dir}
    wanted = RunToOpen(
        run_id=JOB_TYPE,
        results_dir=str(results_dir),
        name=wishes.name or contents.name,
        job_type=JOB_TYPE,  # the dashboard finds it by this
        notes=wishes.notes,
        tags=list(wishes.tags),
        config={"num_records": contents.num_records},
        **{"group": wishes.group or JOB_TYPE} | by_variables | dict(options),
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        settle_environment(scratch, os.environ)
        return _log(wanted, contents)


def _log(wanted: RunToOpen, contents: Contents) -> str:
    """Log everything as one row; return the address or folder where it can be seen."""
    import wandb

    try:
        run, note = open_run(wanted)
        values: dict[str, Any] = {key: _as_table(frame) for key, frame in contents.tables.items()}
        values |= {key: wandb.Image(str(path)) for key, path in contents.figures.items()}
        if contents.page is not None:
            values["page"] = wandb.Html(str(contents.page), inject=False)
        run.log(values, step=int(time.time()), commit=True)  # a later report's step is higher
        place = note or str(wanted.folder if run.offline else run.url)
        run.finish()
        wandb.teardown()
    except Exception as error:  # wandb may raise anything, and this command does nothing else
        raise UserError(f"W&B: {first_line(error)}") from error
    return place


def _as_table(frame: pd.DataFrame) -> "wandb.Table":
    """The frame as a table of wandb."""
    import wandb

    columns: list[Any] = list(frame.columns)
    data: list[Any] = frame.to_numpy().tolist()
    return wandb.Table(columns=columns, data=data)

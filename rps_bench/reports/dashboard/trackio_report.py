"""The report run on trackio: tables and figures as media, the summary and the claims as a report.

trackio's reports know headings, lists and bold words, but neither tables nor links.
"""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

from rps_bench.core.errors import UserError
from rps_bench.reports.dashboard.tables import CLAIMS_TABLE, JOB_TYPE, PARETO_TABLE, Contents
from rps_bench.reports.styles import TIMES
from rps_bench.tracking.relay.troubles import first_line, require_space
from rps_bench.tracking.trackio.environment import require_package, settle_this_process
from rps_bench.tracking.trackio.runs import FOLDER

TEXT = "report"


def send_to_trackio(contents: Contents, results_dir: Path, project: str) -> str:
    """Log the report run in place of an earlier one.

    Args:
        contents: What to log.
        results_dir: The results folder, under which trackio's files are.
        project: trackio project.

    Returns:
        The folder of trackio's files.

    Raises:
        UserError: trackio is not installed, or cannot store the run.
    """
    require_package()
    folder = results_dir / FOLDER
    require_space(folder)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        settle_this_process(folder, scratch)
        try:
            # trackio tells of what it cannot store, and goes on; `_log` looks for what is stored.
            with redirect_stdout(StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _log(contents, project)
        except Exception as error:  # trackio may raise anything, and this command only does this
            raise UserError(f"trackio: {first_line(error)}") from error
    return str(folder)


def _log(contents: Contents, project: str) -> None:
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    _delete_earlier(project, contents.name)
    values: dict[str, Any] = {
        key: trackio.Table(dataframe=table) for key, table in contents.tables.items()
    }
    values |= {key: trackio.Image(path) for key, path in contents.figures.items()}
    values[TEXT] = trackio.Markdown("\n".join(write_text_report(contents)))
    run = trackio.init(
        project,
        name=contents.name,
        group=JOB_TYPE,
        config={"num_records": contents.num_records},
        auto_log_cpu=False,
        auto_log_gpu=False,
        embed=False,
    )
    trackio.log(values)
    trackio.finish()
    if contents.page is not None:
        _copy_page(contents.page, project)
    stored = {
        key for row in SQLiteStorage.get_logs(project, run.name, run_id=run.id) for key in row
    }
    if missing := sorted(set(values) - stored):
        raise OSError(f"not stored: {', '.join(missing)}")


def _delete_earlier(project: str, name: str) -> None:
    """Delete an earlier report and its media, which trackio leaves behind."""
    from trackio import utils
    from trackio.sqlite_storage import SQLiteStorage

    for run in SQLiteStorage.get_run_records(project):
        if run["name"] == name:
            SQLiteStorage.delete_run(project, name, run_id=run["id"])
            shutil.rmtree(utils.project_media_dir(project) / name, ignore_errors=True)


def _copy_page(page: Path, project: str) -> None:
    """Put report.html where the dashboard offers files."""
    from trackio import utils

    folder = utils.project_media_dir(project) / "files"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(page, folder / page.name)


def write_text_report(contents: Contents) -> Iterator[str]:
    """The lines of the report: the summary, the claims that were decided, and where more is."""
    yield f"# {contents.name}"
    yield ""
    yield "## Accuracy in percent: mean ± sample standard deviation over n seeds"
    yield ""
    yield from _list_points(contents.tables[PARETO_TABLE])
    yield ""
    yield "## Claims of the paper, judged"
    yield ""
    yield from _list_claims(contents.tables[CLAIMS_TABLE])
    yield ""
    if contents.page is not None:
        yield f"All of it, to read offline: **{contents.page.name}**, on the page Files."
    yield "Tables and figures with error bars: the page Media & Tables, with this run selected."


def _list_points(points: pd.DataFrame) -> Iterator[str]:
    """A line per point of a curve; those on the frontier are bold."""
    for point in points.itertuples(index=False):
        experiment = [point.dataset, point.arch, point.recipe, point.options]
        name = " ".join(str(word) for word in experiment if word)
        text = f"{point.method} at {point.compression:g}{TIMES}: {_write_mean(point)}"
        yield f"- {name}: **{text}** (frontier)" if point.on_frontier else f"- {name}: {text}"


def _write_mean(point: Any) -> str:
    lost = [(point.diverged, "diverged"), (point.failed, "failed")]
    notes = "".join(f", {number} {word}" for number, word in lost if number)
    if point.mean is None:
        return f"no mean (n = {point.n}{notes})"
    spread = "" if point.std is None else f" ± {point.std:.2f}"
    return f"{point.mean:.2f}{spread} (n = {point.n}{notes})"


def _list_claims(claims: pd.DataFrame) -> Iterator[str]:
    """A line per claim, with the number of comparisons of each verdict."""
    for statement, rows in claims.groupby("statement", sort=False):
        asked = rows[rows["n"].notna() & (rows["n"] != 0)]
        counts = asked["verdict"].value_counts()
        verdicts = ", ".join(f"{verdict} {count}" for verdict, count in counts.items())
        yield f"- {statement} {verdicts or 'no data'}"

"""The runs that did not complete, with their reasons, as a table."""

from collections.abc import Hashable
from typing import Any

from rps_bench.reports.html.encoding import escape
from rps_bench.reports.html.experiments import Experiment
from rps_bench.reports.html.links import RecordLinks, render_link
from rps_bench.reports.html.tables import (
    Cell,
    Column,
    Row,
    number_cell,
    ratio_cell,
    render_table,
    text_cell,
)
from rps_bench.reports.words import count_of

_COLUMNS = (
    Column("Method"),
    Column("Status"),
    Column("Compression", "number"),
    Column("Seed", "number"),
    Column("Epochs", "number", "Epochs trained before it ended"),
    Column("Reason", "long"),
    Column("Record"),
    Column("Experiment", "long"),
)


def render_troubles(experiments: list[Experiment], links: RecordLinks) -> str:
    """The table of failed and diverged runs, or a sentence if there are none."""
    rows = [
        _make_row(experiment.title, run, links)
        for experiment in experiments
        for run in experiment.runs.to_dict("records")
        if run["has_diverged"] or run["has_failed"]
    ]
    if not rows:
        return "<p>All recorded runs completed.</p>"
    caption = f"{count_of(len(rows), 'run')} that did not complete"
    return render_table("troubles-table", caption, _COLUMNS, rows)


def _make_row(title: str, run: dict[Hashable, Any], links: RecordLinks) -> Row:
    return Row(
        [
            text_cell(run["label"]),
            Cell(f'<span class="badge {escape(run["status"])}">{escape(run["status"])}</span>'),
            ratio_cell(run["compression"]),
            number_cell(run["seed"]),
            number_cell(run["epochs"]),
            text_cell(run["reason"]),
            Cell(render_link(links, run["run_id"])),
            text_cell(title),
        ],
        {"data-run": run["run_id"]},
    )

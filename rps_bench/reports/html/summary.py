"""The summary table: a row per point, with its runs."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from rps_bench.reports.html.encoding import escape
from rps_bench.reports.html.experiments import Experiment
from rps_bench.reports.html.links import RecordLinks, render_link
from rps_bench.reports.html.tables import (
    NOTHING,
    Cell,
    Column,
    Row,
    number_cell,
    ratio_cell,
    render_table,
    text_cell,
)
from rps_bench.reports.tables.summary import summary_table
from rps_bench.reports.words import count_of, format_ratio

_COLUMNS = (
    Column("Method"),
    Column("Compression", "number"),
    Column(
        "True compr.", "number", "All parameters of the dense model / all that are stored",
        "true_compression",
    ),
    Column("Accuracy (%)", "number", "Mean after the last epoch", "accuracy"),
    Column("Std", "number", "Sample standard deviation over seeds", "accuracy_std"),
    Column("95% interval", "number", "Student's t interval of the mean", "interval"),
    Column("n", "number", "Completed runs, each with a seed of its own", "n"),
    Column("Diverged", "number", "Runs that met a loss that is not finite", "num_diverged"),
    Column("Failed", "number", "Runs that stopped with an error", "num_failed"),
    Column(
        "Stored (kB)", "number", "Size of the compressed file; 1 kB is 1000 bytes", "stored_bytes"
    ),
    Column(
        "MACs (M)", "number", "Millions, one image; pruned weights left out where measured", "macs"
    ),
    Column("Epochs", "number", "Of all trainings spent to get one model", "total_epochs"),
    Column("Runs", "text", "Shows the point's runs; each seed links to its record"),
    Column("Experiment", "long"),
)  # fmt: skip


def render_summary(experiments: list[Experiment], links: RecordLinks) -> str:
    """The table of all points, best mean first within experiment and compression.

    If there is only one experiment, its column is left out.
    """
    rows = [row for experiment in experiments for row in _render_experiment(experiment, links)]
    points = count_of(len(rows), "point")
    caption = f"{points}: means over seeds of the accuracy after the last epoch"
    if len(experiments) == 1:
        rows = [row._replace(cells=row.cells[:-1]) for row in rows]
        return render_table("summary-table", caption, _COLUMNS[:-1], rows, has_search=False)
    return render_table("summary-table", caption, _COLUMNS, rows, has_search=False)


def _render_experiment(experiment: Experiment, links: RecordLinks) -> list[Row]:
    summary = summary_table(experiment.points)
    ordered = summary.sort_values(["compression", "mean"], ascending=[True, False], kind="stable")
    runs = dict(list(experiment.runs.sort_values(["seed", "run_id"]).groupby("point")))
    title = text_cell(experiment.title)
    return [
        Row(
            [
                *_number_cells(point),
                _runs_cell(index, _name_point(point), runs[index], links),
                title,
            ],
            {"data-point": str(index)},
        )
        for index, point in zip(ordered.index, ordered.to_dict("records"), strict=True)
    ]


def _number_cells(point: dict[Hashable, Any]) -> list[Cell]:
    macs = point["macs"] if pd.isna(point["effective_macs"]) else point["effective_macs"]
    interval = Cell(NOTHING)
    if pd.notna(point["low"]):
        interval = Cell(f"{point['low']:.2f} to {point['high']:.2f}", point["low"])
    return [
        text_cell(point["method"]),
        ratio_cell(point["compression"]),
        ratio_cell(point["true_compression"]),
        number_cell(point["mean"], ".2f"),
        number_cell(point["std"], ".2f"),
        interval,
        number_cell(point["n"]),
        number_cell(point["diverged"]),
        number_cell(point["failed"]),
        number_cell(point["stored_bytes"] / 1e3, ",.1f"),
        number_cell(macs / 1e6, ",.3g"),
        number_cell(point["epochs"], ".4g"),
    ]


def _name_point(point: dict[Hashable, Any]) -> str:
    return f"{point['method']} at {format_ratio(point['compression'])}"


def _runs_cell(index: Hashable, point: str, runs: pd.DataFrame, links: RecordLinks) -> Cell:
    name = escape(f"Show the runs of {point}")
    button = f'<button type="button" data-point="{index}" aria-label="{name}">show</button>'
    pairs = zip(runs["run_id"], runs["seed"], strict=True)
    seeds = " ".join(render_link(links, run_id, seed) for run_id, seed in pairs)
    return Cell(f'{button} <span class="seeds">{seeds}</span>')

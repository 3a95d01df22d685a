"""The section on compression after training: accuracy without and with retraining."""

from typing import Any

import pandas as pd

from rps_bench.records.schema import FILE_ZSTD
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.figures.after_training import find_retrained
from rps_bench.reports.figures.files import plan_after_training
from rps_bench.reports.figures.panels import Panel, split_panels
from rps_bench.reports.figures.rendering import figure_style
from rps_bench.reports.html.facets import mark_facets
from rps_bench.reports.html.images import embed
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
from rps_bench.reports.words import count_of, format_bytes

_INTRODUCTION = """<p>A trained dense network, compressed: how accurate is it at once, and after the
trainings that follow? Sizes are those of the real files, and of what zstd at level 19 leaves of
them. The figures are of all runs, whatever the filter; the table follows it.</p>"""

_COLUMNS = (
    Column("Method"),
    Column("Compression", "number"),
    Column("File", "number"),
    Column("zstd", "number", "What zstd at level 19 leaves of the file"),
    Column("Without", "number", "Mean accuracy of the compressed network as it is, in %"),
    Column("With", "number", "Mean accuracy after the trainings that follow, in %"),
    Column("Epochs", "number", "Of all trainings, that of the dense network included"),
    Column("n", "number", "Seeds"),
    Column("Setting", "long"),
)


def render_after_training(results: Results) -> str:
    """The section as HTML, with figures and their numbers; empty where nothing was retrained."""
    rows = [
        _make_row(row, panel)
        for panel in split_panels(results)
        for row in find_retrained(panel).to_dict("records")
    ]
    if not rows:
        return ""
    words = "accuracy without and with retraining; the table below holds its numbers"
    with figure_style():
        images = "\n".join(embed(figure, words) for figure in plan_after_training(results))
    table = render_table("after-training-table", count_of(len(rows), "point"), _COLUMNS, rows)
    head = """<section id="after-training" aria-labelledby="after-training-title">
<h2 id="after-training-title">Compression after training</h2>"""
    return f"{head}\n{_INTRODUCTION}\n{images}\n{table}</section>\n"


def _make_row(row: dict[Any, Any], panel: Panel) -> Row:
    setting = ", ".join(filter(None, [panel.title, f"recipe {panel.recipe}", panel.options]))
    return Row(
        [
            text_cell(row["label"]),
            ratio_cell(row["compression"]),
            _bytes_cell(row["stored_bytes"]),
            _bytes_cell(row[FILE_ZSTD]),
            number_cell(row["unretrained_mean"], ".2f"),
            number_cell(row["mean"], ".2f"),
            number_cell(row["total_epochs"]),
            number_cell(row["n"]),
            text_cell(setting),
        ],
        mark_facets(
            {**row, "dataset": panel.dataset, "arch": panel.arch, "recipe": panel.recipe},
            [row["method"]],
        ),
    )


def _bytes_cell(value: float) -> Cell:
    return Cell(NOTHING) if pd.isna(value) else Cell(format_bytes(value), value)

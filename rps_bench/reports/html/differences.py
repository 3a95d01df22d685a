"""How far each method is from stable_rps by protocol, recipe and budget: a section of the page."""

from typing import Any

import pandas as pd

from rps_bench.reports.analysis.results import Results
from rps_bench.reports.claims.declared import REFERENCE
from rps_bench.reports.claims.differences import find_differences
from rps_bench.reports.figures.files import plan_differences
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
from rps_bench.reports.words import count_of, name_setting

_INTRODUCTION = f"""<p>Does the order of methods change with the protocol, the recipe or the
training budget? Accuracy minus that of {REFERENCE}, over pairs of runs with the same seed; the
interval is the plain 95% t interval of that mean, none for one seed. Lines join budgets that differ
in epochs alone. The figures are of all runs, whatever the filter; the table follows it.</p>"""

_HEAD = """<section id="protocols" aria-labelledby="protocols-title">
<h2 id="protocols-title">Protocols, recipes and budgets</h2>"""

_WORDS = "differences by experiment; the table below holds its numbers"  # of a figure

_COLUMNS = (
    Column("Method"),
    Column("Compression", "number"),
    Column("Epochs", "number", "As the recipe plans them"),
    Column("Difference", "number", f"Mean of the method minus {REFERENCE}, in points of accuracy"),
    Column("95% interval", "number", "Of this one comparison, not corrected"),
    Column("n", "number", "Pairs of runs with the same seed"),
    Column("Setting", "long"),
)


def render_differences(results: Results) -> str:
    """The section as HTML, with figures and their numbers; empty without several experiments."""
    rows = find_differences(results)
    if rows.empty:
        return ""
    with figure_style():
        images = "\n".join(embed(figure, _WORDS) for figure in plan_differences(results, rows))
    table = render_table(
        "protocols-table",
        count_of(len(rows), "difference"),
        _COLUMNS,
        [_make_row(row) for row in rows.to_dict("records")],
    )
    return f"{_HEAD}\n{_INTRODUCTION}\n{images}\n{table}</section>\n"


def _make_row(row: dict[Any, Any]) -> Row:
    interval = Cell(NOTHING)
    if pd.notna(row["low"]):
        interval = Cell(f"{row['low']:+.2f} to {row['high']:+.2f}", row["low"])
    return Row(
        [
            text_cell(row["method"]),
            ratio_cell(row["compression"]),
            number_cell(row["planned_epochs"]),
            number_cell(row["difference"], "+.2f"),
            interval,
            number_cell(row["n"]),
            text_cell(_name_setting(row)),
        ],
        mark_facets(row, [row["base"]]),
    )


def _name_setting(row: dict[Any, Any]) -> str:
    size = None if pd.isna(row["image_size"]) else int(row["image_size"])
    imbalance = "" if pd.isna(row["imbalance"]) else f"imbalance={row['imbalance']:g}"
    place = name_setting(row["dataset"], row["arch"], size)
    return ", ".join(filter(None, [place, imbalance, row["series"], f"protocol {row['protocol']}"]))

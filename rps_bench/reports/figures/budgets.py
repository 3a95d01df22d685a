"""Accuracy minus that of stable_rps against epochs: does the order of methods depend on the budget?

One cell per series (recipe, weight decay and whatever else differs) and compression. Lines join
epochs of one series alone, so neither recipes nor weight decays are ever mixed in one.
"""

import itertools
import math
import textwrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.reports.claims.declared import REFERENCE
from rps_bench.reports.figures.accuracy import AT_EDGE, mark_diverged
from rps_bench.reports.figures.axes import set_log_values
from rps_bench.reports.figures.labels import (
    SMALL_STYLE,
    CurveLabel,
    LabelColumn,
    draw_labels,
    labels_height,
)
from rps_bench.reports.figures.layout import Margins, Page, num_rows
from rps_bench.reports.figures.paired import PairedRows, describe_pairs, find_limits
from rps_bench.reports.figures.small_print import describe_origin
from rps_bench.reports.styles import method_look, method_rank, method_style, variant_line
from rps_bench.reports.words import format_ratio, name_arithmetic

CELL_WIDTH, CELL_HEIGHT = 3.9, 2.6  # inches
LONE_WIDTH, LONE_HEIGHT = 6.0, 3.4
WIDEST_TITLE = 56  # characters of a cell's title on a line
MARGINS = Margins(left=0.5, bottom=0.42, top=0.32)
MOST_COLUMNS = 3
SIDE_STEP = 0.018  # between methods at one number of epochs, relative to the axis in log x
SIDE_SHARE = 0.3  # of the least distance between two numbers of epochs, that all take at most
SIDE_MOST = 0.1  # of the axis, that all take at most: its ends are as far off


def draw_budgets(budgets: PairedRows) -> Figure:
    """Difference against epochs, a cell per series and compression; needs `figure_style` in force.

    Points are means over pairs of runs with the same seed, with the 95% t interval as a bar; those
    of one pair are hollow. Cells of one compression share their y axis, all share their x axis.
    """
    rows = budgets.rows
    series, ratios = list(rows["series"].unique()), sorted(rows["compression"].unique())
    num_columns = min(len(ratios), MOST_COLUMNS)
    num_lines = num_rows(len(ratios), num_columns)
    is_lone = num_columns == 1
    width, height = (LONE_WIDTH, LONE_HEIGHT) if is_lone else (CELL_WIDTH, CELL_HEIGHT)
    most = rows.groupby(["series", "compression"])["method"].agg(list).map(_stack_height).max()
    page = Page(
        width,
        [max(height, most + MARGINS.top + MARGINS.bottom)] * (num_lines * len(series)),
        _describe(budgets),
        num_columns=num_columns,
        title=f"{budgets.title}: difference to {REFERENCE} by training budget",
        margins=MARGINS,
    )
    columns = []
    for (name, ratio), own in rows.groupby(["series", "compression"], sort=False):
        line, column = divmod(ratios.index(ratio), num_columns)
        axes, right = page.add_axes(series.index(name) * num_lines + line, column)
        columns.append(LabelColumn(axes, _draw_cell(axes, own, rows), right))
        title = textwrap.fill(f"{format_ratio(float(str(ratio)))}, {name}", WIDEST_TITLE)
        axes.set_title(title, fontsize=7.5)
    draw_labels(columns, SMALL_STYLE)
    return page.figure


def _stack_height(names: list[str]) -> float:
    return labels_height([*sorted(set(names)), REFERENCE], SMALL_STYLE)


def _draw_cell(axes: Axes, own: pd.DataFrame, rows: pd.DataFrame) -> list[CurveLabel]:
    """Draw the methods of one cell and the reference; return their labels."""
    keys = own[["base", "method"]].drop_duplicates().itertuples(index=False, name=None)
    ordered = sorted(keys, key=lambda key: (method_rank(key[0]), key))
    shifts = _side_by_side(rows["planned_epochs"].astype("float64"), len(ordered))
    labels = [_draw_reference(axes)]
    seen: dict[str, int] = {}
    for (base, name), shift in zip(ordered, shifts, strict=True):
        variant = seen[base] = seen.get(base, int(base == REFERENCE) - 1) + 1
        points = own[own["method"] == name].sort_values("planned_epochs")
        points = points.assign(x=points["planned_epochs"].astype("float64") * shift)
        labels.append(_draw_method(axes, points, base, variant))
    ratio = own["compression"].iloc[0]
    axes.set_ylim(*find_limits(rows[rows["compression"] == ratio]))
    set_log_values(axes, rows["planned_epochs"].astype("float64"), "Epochs")
    axes.set_ylabel(f"Accuracy minus {REFERENCE}'s (points)")
    return labels


def _draw_reference(axes: Axes) -> CurveLabel:
    colour = method_look(REFERENCE).colour
    axes.axhline(0.0, color=colour, linewidth=1.4, zorder=2)
    return CurveLabel(REFERENCE, colour, AT_EDGE, 0.0)


def _draw_method(axes: Axes, points: pd.DataFrame, base: str, variant: int) -> CurveLabel:
    """Draw one method; a variant of the reference stands out as a further line to compare with."""
    kind, name = points["kind"].iloc[0], str(points["method"].iloc[0])
    style = method_style(base, None if pd.isna(kind) else str(kind))
    line = variant_line(style.line, variant)
    width = 1.6 if base == REFERENCE else 1.0
    x, y, colour = points["x"], points["difference"], style.colour
    axes.plot(x, y, color=colour, linestyle=line, linewidth=width, label=name, zorder=3)
    look: dict[str, Any] = {
        "color": colour,
        "marker": style.marker,
        "markersize": 3.8,
        "linestyle": "none",
    }
    many, lone = points[points["n"] > 1], points[points["n"] == 1]
    if len(many):
        reach = [many["difference"] - many["low"], many["high"] - many["difference"]]
        axes.errorbar(
            many["x"], many["difference"], yerr=reach, elinewidth=0.7, capsize=1.5,
            label=f"{name} with interval", zorder=4, **look,
        )  # fmt: skip
    if len(lone):
        axes.plot(
            lone["x"], lone["difference"], markerfacecolor="white", markeredgewidth=0.9,
            label=f"{name} one seed", zorder=4, **look,
        )  # fmt: skip
    lost = points[points["num_diverged"] + points["num_diverged_reference"] > 0]
    for place in zip(lost["x"], lost["difference"], strict=True):
        mark_diverged(axes, name, colour, place)
    return CurveLabel(name, colour, float(x.iloc[-1]), float(y.iloc[-1]))


def _side_by_side(epochs: "pd.Series[float]", count: int) -> list[float]:
    """A factor on x for each of some methods, so that their bars can be told apart."""
    grid = sorted(set(epochs))
    gaps = [math.log(b / a) for a, b in itertools.pairwise(grid)]
    if not gaps:
        return [math.exp(SIDE_STEP * (place - (count - 1) / 2)) for place in range(count)]
    room = min(SIDE_MOST * sum(gaps), SIDE_SHARE * min(gaps))
    step = min(SIDE_STEP * sum(gaps), room / max(count - 1, 1))
    return [math.exp(step * (place - (count - 1) / 2)) for place in range(count)]


def _describe(budgets: PairedRows) -> list[str]:
    """The small print: what a point is, how many seeds, what the marks mean, whence the runs."""
    rows, runs = budgets.rows, budgets.runs
    arithmetic = name_arithmetic(runs["precision"], runs["kernels"])
    return [
        f"{describe_pairs(rows)}; methods are set side by side at each number of epochs",
        f"Protocol {rows['protocol'].iloc[0]}; {arithmetic};"
        f" {describe_origin(runs, budgets.num_failed)}",
    ]

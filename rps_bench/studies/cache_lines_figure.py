"""The figure of `cache_lines`: cache lines of blocks of weights, and times of gathers, by map."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.reports.figures.axes import (
    COMPRESSION,
    Abscissa,
    choose_ticks,
    set_log_y,
    set_x_axis,
)
from rps_bench.reports.figures.labels import SMALL_STYLE, CurveLabel, LabelColumn, draw_labels
from rps_bench.reports.figures.layout import QUIET, Margins, Page
from rps_bench.reports.styles import ARCH_TITLES, method_look
from rps_bench.reports.words import format_bytes
from rps_bench.studies.looks import registered_style

LINES, NETWORKS, SIZES = "lines", "networks", "sizes"  # the parts of the table

CELL_WIDTH, CELL_HEIGHT = 3.3, 2.4  # inches
REPOSITORY = Abscissa("theta_bytes", None, "", "Size of the repository", format_bytes)
TICKS = (0.03125, 0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)


def draw_figure(table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
    """Draw relative lines by architecture (row) and block (column); below, the times."""
    counted = table[table["part"] == LINES]
    archs, blocks = (list(dict.fromkeys(counted[key])) for key in ("arch", "block"))
    num_columns = max(len(blocks), len(archs) + 1)
    page = Page(
        CELL_WIDTH,
        [CELL_HEIGHT] * (len(archs) + 1),
        [
            "processor time of one thread; bars: fastest and slowest of the repeats",
            *small_print,
        ],
        num_columns=num_columns,
        title="Cache lines of the repository that reading blocks of weights touches, and time",
        margins=Margins(left=0.6),
    )
    columns = []
    for row, arch in enumerate(archs):
        for place, block in enumerate(blocks):
            axes, right = page.add_axes(row, place)
            axes.set_title(f"{ARCH_TITLES.get(arch, arch)}, {block}")
            axes.set_ylabel("Lines / lines at best")
            own = counted[(counted["arch"] == arch) & (counted["block"] == block)]
            columns.append(LabelColumn(axes, _draw_lines(axes, own), right))
    columns += _draw_times(page, table, archs, num_columns)
    draw_labels(columns, SMALL_STYLE)
    return page.figure


def _draw_times(
    page: Page, table: pd.DataFrame, archs: Sequence[str], num_columns: int
) -> list[LabelColumn]:
    """Draw the times in the last row: a cell per network, and a wide one by repository size."""
    row = len(page.row_heights) - 1
    columns = []
    for place, arch in enumerate(archs):
        axes, right = page.add_axes(row, place)
        axes.set_title(f"{ARCH_TITLES.get(arch, arch)}, time of a gather")
        own = table[(table["part"] == NETWORKS) & (table["arch"] == arch)]
        columns.append(LabelColumn(axes, _draw_curves(axes, own, COMPRESSION), right))
    # The last cell spans all columns that remain.
    axes, right = page.add_axes(row, len(archs))
    first = axes.get_position()
    width = first.width + (num_columns - len(archs) - 1) * (
        page.cell_width / page.figure.get_figwidth()
    )
    axes.set_position((first.x0, first.y0, width, first.height))
    axes.set_title("Time of a gather by size of the repository")
    sizes = table[table["part"] == SIZES]
    columns.append(
        LabelColumn(axes, _draw_curves(axes, sizes, REPOSITORY), right + width - first.width)
    )
    cache = table["cache_bytes"].iloc[0]
    if pd.notna(cache):
        axes.axvline(cache, color=QUIET, linewidth=0.8, linestyle=":")
        axes.annotate(
            f"last cache, {format_bytes(cache)}",
            (cache, 0.98),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 0),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=6.5,
            color=QUIET,
        )
    return columns


def _draw_lines(axes: Axes, own: pd.DataFrame) -> list[CurveLabel]:
    labels = _draw_methods(axes, own, COMPRESSION, "relative_lines")
    set_log_y(axes, TICKS)
    return labels


def _draw_curves(axes: Axes, own: pd.DataFrame, abscissa: Abscissa) -> list[CurveLabel]:
    """Draw nanoseconds per weight with the extremes as bars."""
    labels = _draw_methods(axes, own, abscissa, "ns_per_weight")
    for method, points in own.groupby("method", sort=False):
        axes.vlines(
            points[abscissa.column],
            points["ns_low"],
            points["ns_high"],
            color=method_look(str(method)).colour,
            linewidth=0.8,
        )
    axes.set_ylabel("ns per weight")
    set_log_y(axes, choose_ticks(own["ns_low"].min() / 1.1, own["ns_high"].max() * 1.1))
    return labels


def _draw_methods(axes: Axes, own: pd.DataFrame, abscissa: Abscissa, y: str) -> list[CurveLabel]:
    """Draw a curve per method, dense as a horizontal line; return the labels.

    Curves that coincide are told apart by their width: those drawn first are widest.
    """
    end = own[abscissa.column].max()
    labels: list[CurveLabel] = []
    for method, points in own.groupby("method", sort=False):
        style, last = registered_style(str(method)), points.iloc[-1]
        num_above = own["method"].nunique() - 1 - len(labels)
        if len(points) == 1:
            axes.axhline(last[y], color=style.colour, linewidth=0.9, linestyle="--", zorder=1)
        else:
            axes.plot(
                points[abscissa.column],
                points[y],
                color=style.colour,
                marker=style.marker,
                linestyle=style.line,
                linewidth=1.1 + 0.6 * num_above,
                markersize=3.0 + 1.1 * num_above,
            )
        x = end if len(points) == 1 else last[abscissa.column]
        labels.append(CurveLabel(str(method), style.colour, x, last[y]))
    set_x_axis(axes, own[abscissa.column], abscissa)
    return labels

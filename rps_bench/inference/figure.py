"""The figure: latency against compression by way, a row per architecture, a column per batch."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.reports.figures.accuracy import AT_EDGE
from rps_bench.reports.figures.axes import COMPRESSION, choose_ticks, set_log_y, set_x_axis
from rps_bench.reports.figures.labels import SMALL_STYLE, CurveLabel, LabelColumn, draw_labels
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.styles import ARCH_TITLES, method_look
from rps_bench.reports.words import count_of

CELL_WIDTH, CELL_HEIGHT = 4.2, 2.7  # inches
LINES: dict[str, Any] = {
    "recover_once": "-", "recover_by_layer": (0, (3, 1)), "pruned_dense": "--",
    "pruned_csr": (0, (1, 1)), "small": ":",
}  # fmt: skip
TITLES = {
    "recover_once": "recovered once", "recover_by_layer": "recovered by layer",
    "pruned_dense": "with zeros", "pruned_csr": "sparse (CSR)",
}  # fmt: skip
# These ways run the dense network itself: hollow and large marks, so that all can be seen.
AS_DENSE = {"recover_once": 8.0, "pruned_dense": 5.0}


def draw_inference(table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
    """The figure for a table of `measure_inference`; needs `figure_style` in force."""
    rows = list(dict.fromkeys(zip(table["arch"], table["device"], strict=True)))
    batches = sorted(table["batch"].unique())
    page = Page(
        CELL_WIDTH,
        [CELL_HEIGHT] * len(rows),
        [
            "median of the runs, bars: quartiles; hollow marks: the dense network itself, its"
            " weights recovered once or partly zero; small: narrowed to stable_rps's file",
            *small_print,
        ],
        num_columns=len(batches),
        title="Time of a batch at inference, by compression and way of running",
        margins=Margins(left=0.6),
    )
    columns = []
    for row, (arch, device) in enumerate(rows):
        for column, batch in enumerate(batches):
            axes, right = page.add_axes(row, column)
            shown = (table["arch"] == arch) & (table["device"] == device)
            own = table[shown & (table["batch"] == batch)]
            columns.append(LabelColumn(axes, list(_draw_ways(axes, own)), right))
            where = ", ".join([ARCH_TITLES.get(arch, arch), *([device] if device != "cpu" else [])])
            axes.set_title(f"{where}, {count_of(batch, 'image')}")
    draw_labels(columns, SMALL_STYLE)
    return page.figure


def _draw_ways(axes: Axes, own: pd.DataFrame) -> Iterator[CurveLabel]:
    """Draw a curve per way and method, dense as a horizontal line; set the axes; yield labels."""
    groups = own.sort_values("compression").groupby(["way", "method"], sort=False)
    for (way, method), points in groups:
        colour, last = method_look(str(method)).colour, points.iloc[-1]
        if way == "dense":
            axes.axhline(last["median_ms"], color=colour, linewidth=0.9, zorder=1)
            yield CurveLabel("dense", colour, AT_EDGE, last["median_ms"])
            continue
        _draw_way(axes, str(way), str(method), points)
        name = f"{method}, {TITLES[way]}" if way in TITLES else str(method)
        yield CurveLabel(name, colour, last["compression"], last["median_ms"])
    low, high = own["low_ms"].min() / 1.25, own["high_ms"].max() * 1.25
    set_log_y(axes, choose_ticks(low, high))
    axes.set_ylim(low, high)
    axes.set_ylabel("Milliseconds")
    set_x_axis(axes, own["compression"], COMPRESSION)


def _draw_way(axes: Axes, way: str, method: str, points: pd.DataFrame) -> None:
    look = method_look(method)
    is_hollow = way in AS_DENSE
    median = points["median_ms"]
    axes.errorbar(
        points["compression"],
        median,
        yerr=[median - points["low_ms"], points["high_ms"] - median],
        color=look.colour,
        linestyle=LINES[way],
        linewidth=1.0,
        elinewidth=0.8,
        marker=look.marker,
        markersize=AS_DENSE.get(way, 4.0),
        markerfacecolor="none" if is_hollow else look.colour,
        markeredgecolor=look.colour if is_hollow else "white",
        markeredgewidth=0.9 if is_hollow else 0.4,
        label=f"{way} {method}",
    )

"""Accuracy against the step that lottery tickets are rewound to, with what each line cost.

A line per compression and set of other options, such as the share that each level prunes. Later
steps make shorter trainings: the label says how many epochs one network took, from the cheapest
point of its line to the dearest.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.records import Record
from rps_bench.reports.analysis.options import describe_differences
from rps_bench.reports.figures.accuracy import draw_chance, draw_line, mark_lost
from rps_bench.reports.figures.axes import set_accuracy_limits
from rps_bench.reports.figures.labels import (
    WIDE_STYLE,
    CurveLabel,
    LabelColumn,
    draw_labels,
    labels_height,
)
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.figures.records import find_records
from rps_bench.reports.figures.small_print import describe_panels
from rps_bench.reports.styles import DASH_DOTTED, LONG_DASHED, OTHER_COLOURS, LineStyle
from rps_bench.reports.words import format_ratio

WIDTH, HEIGHT = 6.5, 3.8  # inches, without the small print
MARGINS = Margins()
STEP = "method.rewind_steps"
LINES: tuple[LineStyle, ...] = ("-", LONG_DASHED, DASH_DOTTED, (0, (1, 1)))
MARKERS = "os^D"
NOTES = (
    "colour: compression; line and mark: other options; epochs: of all trainings that one network"
    " took, the dense one included"
)


def find_rewinding(panel: Panel, records: Sequence[Record]) -> pd.DataFrame:
    """One row per method, compression, other options and step; empty if no step was varied.

    `step` is where the levels really began, also where the default chose it. `series` names the
    options but the step. Further columns: `mean` and sample `std` of the accuracy over `n`
    completed runs, `num_diverged`, `total_epochs`. Lines of a single step are left out.
    """
    steps = {
        str(run.record["run_id"]): (run.record.get("method_report") or {}).get("rewind_step")
        for run in find_records(panel, records)
    }
    runs = panel.runs.assign(step=pd.to_numeric(panel.runs["run_id"].map(steps), errors="coerce"))
    runs = runs[runs["step"].notna()]
    if STEP not in runs or runs.empty:
        return pd.DataFrame()
    columns = [c for c in runs.columns if c.startswith("method.") and c != STEP]
    runs = runs.assign(series=describe_differences(runs, ["method"], columns, null_differs=False))
    line = ["method", "compression", "series"]
    runs = runs[runs.groupby(line)["step"].transform("nunique") > 1]
    if runs.empty:
        return pd.DataFrame()
    return runs.groupby([*line, "step"], as_index=False).agg(
        mean=("accuracy", "mean"),
        std=("accuracy", "std"),
        n=("accuracy", "count"),
        num_diverged=("has_diverged", "sum"),
        total_epochs=("total_epochs", "mean"),
    )


def draw_rewinding(panel: Panel, rows: pd.DataFrame) -> Figure:
    """The figure of one panel's ``find_rewinding``; needs `figure_style` in force."""
    rows = rows.assign(name=_name_lines(rows))
    height = labels_height([*rows["name"].unique(), "chance"], WIDE_STYLE)
    height = max(HEIGHT, height + MARGINS.top + MARGINS.bottom)
    page = Page(WIDTH, (height,), describe_panels([panel], [NOTES]), margins=MARGINS)
    axes, right = page.add_axes(0)
    labels = []
    series, ratios = list(rows["series"].unique()), sorted(rows["compression"].unique())
    for name, own in rows.groupby("name", sort=False):
        first = own.iloc[0]
        place = series.index(first["series"]), ratios.index(first["compression"])
        labels.append(_draw_line(axes, own, str(name), place, panel.chance or 0.0))
    mark_lost(axes, rows, "step", "name", panel.chance or 0.0)
    set_accuracy_limits(axes, rows, panel.chance)
    axes.set_xlabel("Step that every level but the first starts from (0: the init)")
    axes.set_ylabel(f"{panel.split.capitalize()} accuracy (%)")
    axes.set_title(f"{panel.title}: rewinding")
    draw_labels([LabelColumn(axes, labels + draw_chance(axes, panel.chance), right)], WIDE_STYLE)
    return page.figure


def _name_lines(rows: pd.DataFrame) -> list[str]:
    """What each row's line is called: method, compression, options and epochs."""
    costs = rows.groupby(["method", "compression", "series"])["total_epochs"]
    spans = zip(costs.transform("min"), costs.transform("max"), strict=True)
    words = [f"{a:.4g} epochs" if a == b else f"{a:.4g} to {b:.4g} epochs" for a, b in spans]
    keys = zip(rows["method"], rows["compression"], rows["series"], words, strict=True)
    return [
        ", ".join(filter(None, [f"{method} {format_ratio(ratio)}", series, cost]))
        for method, ratio, series, cost in keys
    ]


def _draw_line(
    axes: Axes, own: pd.DataFrame, name: str, place: tuple[int, int], level: float
) -> CurveLabel:
    """Draw the completed points of one line; ``place`` is of its options and its compression."""
    colour, number = OTHER_COLOURS[place[1] % len(OTHER_COLOURS)], place[0] % len(LINES)
    return draw_line(
        axes,
        own.sort_values("step"),
        "step",
        name,
        level,
        color=colour,
        linestyle=LINES[number],
        marker=MARKERS[number],
        markeredgecolor="white",
        markeredgewidth=0.4,
    )

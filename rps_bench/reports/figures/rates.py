"""Validation accuracy against learning rate, by method, with a ring around each chosen rate."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.config import CHOICES_FILE
from rps_bench.reports.analysis.options import RATE
from rps_bench.reports.figures.accuracy import draw_chance, draw_line, mark_lost
from rps_bench.reports.figures.axes import set_accuracy_limits, set_log_values
from rps_bench.reports.figures.curves import find_kind
from rps_bench.reports.figures.labels import (
    SMALL_STYLE,
    CurveLabel,
    LabelColumn,
    draw_labels,
    labels_height,
)
from rps_bench.reports.figures.layout import Margins, Page, num_rows
from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.figures.small_print import describe_panels
from rps_bench.reports.styles import method_rank, method_style, variant_line
from rps_bench.reports.words import format_ratio
from rps_bench.tuning.choices import read_choices

CELL_WIDTH, CELL_HEIGHT = 3.9, 2.5  # inches
LONE_WIDTH, LONE_HEIGHT = 6.0, 3.4
MARGINS = Margins(left=0.5, bottom=0.42, top=0.32)
CHOSEN = "chosen"


def find_chosen(results_dir: Path) -> frozenset[str]:
    """Run ids of the trials whose rates were chosen; none where there is no file of choices.

    Raises:
        UserError: The file is broken.
    """
    choices = read_choices(results_dir / CHOICES_FILE).values()
    return frozenset(choice.best.run_id for choice in choices)


def find_rates(panel: Panel, chosen: frozenset[str]) -> pd.DataFrame:
    """One row per compression, curve and learning rate; empty if no rates were tried.

    Further columns: `mean` and sample `std` of the accuracy over `n` completed runs,
    `num_diverged`, `is_chosen`.
    """
    runs = panel.runs
    if panel.split != "validation" or RATE not in runs:
        return pd.DataFrame()
    runs = runs.assign(rate=runs[RATE], is_chosen=runs["run_id"].isin(chosen))
    if runs.groupby(["curve", "compression"])["rate"].nunique().max() < 2:
        return pd.DataFrame()
    keys = ["compression", "method", "curve", "rate"]
    return runs.groupby(keys, as_index=False).agg(
        method_kind=("method_kind", "first"),
        mean=("accuracy", "mean"),
        std=("accuracy", "std"),
        n=("accuracy", "count"),
        num_diverged=("has_diverged", "sum"),
        is_chosen=("is_chosen", "any"),
    )


def draw_rates(panel: Panel, rates: pd.DataFrame) -> Figure:
    """Accuracy against learning rate, a cell per compression; needs `figure_style` in force.

    Diverged runs are crosses at chance level, side by side if several share a rate.
    """
    cells = [(float(str(key)), own) for key, own in rates.groupby("compression")]
    is_lone = len(cells) == 1
    width, height = (LONE_WIDTH, LONE_HEIGHT) if is_lone else (CELL_WIDTH, CELL_HEIGHT)
    names = max((list(own["curve"].unique()) for _, own in cells), key=len)
    needed = labels_height([*names, "chance"], SMALL_STYLE) + MARGINS.top + MARGINS.bottom
    num_columns = min(len(cells), 2)
    page = Page(
        width,
        [max(height, needed)] * num_rows(len(cells), num_columns),
        describe_panels([panel], ["ring: chosen" if rates["is_chosen"].any() else "none chosen"]),
        num_columns=num_columns,
        title=f"{panel.title}: learning rates",
        margins=MARGINS,
    )
    columns = []
    for place, (compression, own) in enumerate(cells):
        axes, right = page.add_axes(*divmod(place, num_columns))
        labels = _draw_cell(axes, own, panel)
        axes.set_title(format_ratio(compression), fontsize=8.5)
        columns.append(LabelColumn(axes, labels, right))
    draw_labels(columns, SMALL_STYLE)
    return page.figure


def _draw_cell(axes: Axes, own: pd.DataFrame, panel: Panel) -> list[CurveLabel]:
    """Draw the curves of one compression; return their labels and the one of chance."""
    level = panel.chance or 0.0
    names = own[["method", "curve"]].drop_duplicates().itertuples(index=False, name=None)
    labels = []
    seen: dict[str, int] = {}
    for method, name in sorted(names, key=lambda key: (method_rank(key[0]), key)):
        variant = seen[method] = seen.get(method, -1) + 1
        points = own[own["curve"] == name].sort_values("rate")
        labels.append(_draw_curve(axes, points, method, variant, level))
    mark_lost(axes, own, "rate", "curve", level)
    set_accuracy_limits(axes, own, panel.chance)
    set_log_values(axes, own["rate"], "Learning rate")
    axes.set_ylabel("Validation accuracy (%)")
    return labels + draw_chance(axes, panel.chance)


def _draw_curve(
    axes: Axes, points: pd.DataFrame, method: str, variant: int, level: float
) -> CurveLabel:
    """Draw one curve through its completed points, with the chosen one ringed."""
    style, name = method_style(method, find_kind(points)), str(points["curve"].iloc[0])
    label = draw_line(
        axes,
        points,
        "rate",
        name,
        level,
        color=style.colour,
        linestyle=variant_line(style.line, variant),
        marker=style.marker,
        markersize=3.5,
        linewidth=1.1,
    )
    ringed = points[points["is_chosen"] & (points["n"] > 0)]
    axes.plot(
        ringed["rate"],
        ringed["mean"],
        linestyle="none",
        marker="o",
        markersize=8,
        markerfacecolor="none",
        markeredgecolor=style.colour,
        label=f"{name} {CHOSEN}",
        zorder=4,
    )
    return label

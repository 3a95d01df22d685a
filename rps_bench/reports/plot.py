"""One figure: accuracy against compression, a curve per method, drawn from one panel."""

import textwrap
from collections.abc import Iterator
from typing import Literal, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from rps_bench.reports.axes import set_accuracy_limits, set_compression_axis
from rps_bench.reports.labels import CurveLabel, draw_labels
from rps_bench.reports.panels import Panel, describe_panel
from rps_bench.reports.pareto import pareto_frontier
from rps_bench.reports.styles import DASHED, SOLID, TIMES, MethodStyle, method_rank, method_style

Abscissa = Literal["compression", "true_compression"]

DIVERGED_MARKER = "x"
DIVERGED_STEP_POINTS = 6.5  # between the marks of runs that diverged at the same compression
FRONTIER_COLOUR = "#E4E4E4"
QUIET = "#777777"
SMALL_PRINT_SIZE = 6.0
SMALL_PRINT_COLUMNS = 122


class Curve(NamedTuple):
    """One method (with its options) and its points by rising compression, x in a column `x`."""

    label: str
    style: MethodStyle
    variant: int  # 0 for the method's first curve, which is drawn filled
    points: pd.DataFrame


def draw_panel(panel: Panel, abscissa: Abscissa = "compression") -> Figure:
    """Return the figure of one panel against nominal or true compression.

    Needs the style file's settings in force (`figures.py` sets them). Completed runs give means
    with a bar of one sample standard deviation; diverged ones a cross at chance level.
    """
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.085, 0.195, 0.9, 0.715))
    curves = list(_find_curves(panel.points, abscissa))
    has_frontier = _draw_frontier(axes, curves)
    labels = [label for curve in curves for label in _draw_curve(axes, curve)]
    labels += _draw_diverged(axes, curves, panel.chance or 0.0)
    set_accuracy_limits(axes, panel.points, panel.chance)
    set_compression_axis(axes, pd.concat([curve.points["x"] for curve in curves]), abscissa)
    labels += _draw_chance(axes, panel)
    axes.set_title(panel.title)
    axes.set_ylabel(f"{panel.split.capitalize()} accuracy (%)")
    _write_small_print(figure, panel, has_frontier)
    draw_labels(axes, _move_to_edge(axes, labels))
    return figure


def _find_curves(points: pd.DataFrame, abscissa: Abscissa) -> Iterator[Curve]:
    """Yield the curves in drawing order: by method, then by label, the bare method first."""
    x = points[abscissa].fillna(points["compression"])
    points = points.assign(x=x).sort_values("x")
    keys = points[["method", "label"]].drop_duplicates().itertuples(index=False, name=None)
    seen: dict[str, int] = {}
    for method, label in sorted(keys, key=lambda key: (method_rank(key[0]), key)):
        variant = seen[method] = seen.get(method, -1) + 1
        own = points[(points["method"] == method) & (points["label"] == label)]
        yield Curve(label, method_style(method), variant, own)


def _draw_curve(axes: Axes, curve: Curve) -> list[CurveLabel]:
    """Draw the means and spreads of a curve; return its label, for dense one at the edge."""
    means = curve.points[curve.points["n"] > 0]
    colour = curve.style.colour
    if means.empty:
        return []
    if curve.points["method"].iloc[0] == "dense":
        level, spread = means["mean"].mean(), means["std"].fillna(0.0).mean()
        axes.axhline(level, color=colour, linewidth=0.9, zorder=2)
        if spread:
            axes.axhspan(level - spread, level + spread, color=colour, alpha=0.08, linewidth=0)
        return [CurveLabel(curve.label, colour, float("inf"), level)]
    axes.errorbar(
        means["x"],
        means["mean"],
        yerr=means["std"].fillna(0.0) if means["std"].notna().any() else None,
        color=colour,
        marker=curve.style.marker,
        linestyle=curve.style.line,
        markerfacecolor="white" if curve.variant else colour,
        markeredgecolor=colour if curve.variant else "white",
        markeredgewidth=0.9 if curve.variant else 0.4,
        elinewidth=0.8,
        label=curve.label,
        zorder=3,
    )
    last = means.iloc[-1]
    return [CurveLabel(curve.label, colour, float(last["x"]), float(last["mean"]))]


def _draw_diverged(axes: Axes, curves: list[Curve], level: float) -> list[CurveLabel]:
    """Mark diverged runs at chance level, side by side where several share a compression.

    Return labels for the curves that have no other point.
    """
    marks: dict[float, list[Curve]] = {}
    for curve in curves:
        for x in curve.points.loc[curve.points["num_diverged"] > 0, "x"]:
            marks.setdefault(float(x), []).append(curve)
    for x, diverged in marks.items():
        for place, curve in enumerate(diverged):
            shift = (place - (len(diverged) - 1) / 2) * DIVERGED_STEP_POINTS / 72
            offset = ScaledTranslation(shift, 0, axes.figure.dpi_scale_trans)
            axes.plot(
                [x],
                [level],
                linestyle="none",
                marker=DIVERGED_MARKER,
                markersize=5.5,
                markeredgewidth=1.6,
                color=curve.style.colour,
                label=f"{curve.label} diverged",
                transform=axes.transData + offset,
                clip_on=False,
                zorder=5,
            )
    lost = [curve for curve in curves if not (curve.points["n"] > 0).any()]
    return [
        CurveLabel(curve.label, curve.style.colour, float(curve.points["x"].max()), level)
        for curve in lost
    ]


def _draw_frontier(axes: Axes, curves: list[Curve]) -> bool:
    """Lay a grey band under the Pareto frontier where there is a choice; tell whether."""
    means = [curve.points[curve.points["n"] > 0] for curve in curves]
    points = [point for part in means for point in zip(part["x"], part["mean"], strict=True)]
    frontier = pareto_frontier(points)
    if sum(not part.empty for part in means) < 2 or len(frontier) < 2:
        return False
    x, y = zip(*frontier, strict=True)
    axes.plot(x, y, color=FRONTIER_COLOUR, linewidth=5.5, solid_joinstyle="round", zorder=1)
    return True


def _draw_chance(axes: Axes, panel: Panel) -> list[CurveLabel]:
    """Draw the chance level where the axis reaches it; return its label and the cross's."""
    has_diverged = bool((panel.points["num_diverged"] > 0).any())
    key = f"{TIMES} diverged"
    if panel.chance is None:
        return [CurveLabel(key, QUIET, float("inf"), 0.0)] if has_diverged else []
    if axes.get_ylim()[0] > panel.chance:
        return []
    axes.axhline(panel.chance, color=QUIET, linewidth=0.7, linestyle=(0, (1, 3)), zorder=1)
    text = f"chance ({key})" if has_diverged else "chance"
    return [CurveLabel(text, QUIET, float("inf"), panel.chance)]


def _move_to_edge(axes: Axes, labels: list[CurveLabel]) -> list[CurveLabel]:
    """Let the labels of horizontal lines start at the right edge of the axes."""
    edge = axes.get_xlim()[1]
    return [label._replace(x=min(label.x, edge)) for label in labels]


def _write_small_print(figure: Figure, panel: Panel, has_frontier: bool) -> None:
    lines = describe_panel(panel)
    styles = {method_style(method).line for method in panel.points["method"] if method != "dense"}
    key = ["solid: parameter sharing, dashed: pruning"] if {SOLID, DASHED} <= styles else []
    key += ["grey band: Pareto frontier"] if has_frontier else []
    lines[-1] += "".join(f"; {entry}" for entry in key)
    wrapped = [part for line in lines for part in textwrap.wrap(line, SMALL_PRINT_COLUMNS)]
    figure.text(
        0.012, 0.015, "\n".join(wrapped), fontsize=SMALL_PRINT_SIZE, color=QUIET, va="bottom"
    )

"""Accuracy curves on one pair of axes: means per method, frontier, diverged runs, chance."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import ScaledTranslation

from rps_bench.reports.figures.axes import Abscissa, find_x, set_accuracy_limits, set_x_axis
from rps_bench.reports.figures.curves import Curve, find_frontier
from rps_bench.reports.figures.labels import CurveLabel
from rps_bench.reports.figures.layout import QUIET
from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.styles import TIMES, method_look

DIVERGED_MARKER = "x"
DIVERGED_STEP_POINTS = 6.5  # between the crosses of runs that diverged at the same x
FRONTIER_COLOUR = "#E4E4E4"
PUBLISHED_COLOUR = "#9A9A9A"
AT_EDGE = float("inf")  # the x of a label that belongs to a horizontal line


def draw_curves(
    axes: Axes,
    panel: Panel,
    curves: Sequence[Curve],
    abscissa: Abscissa,
    published: pd.DataFrame | None = None,
    within: pd.DataFrame | None = None,
) -> list[CurveLabel]:
    """Draw everything in a panel except the labels, which are returned.

    Completed runs are drawn as means with a bar of one sample standard deviation, diverged ones as
    a cross at chance level. Also sets scales, limits and titles of the axes. `published` comes from
    `rps_bench.reports.analysis.published` and has nominal compressions on x. The y axis holds the
    points `within`, or those of the curves.
    """
    points = pd.concat([curve.points for curve in curves])
    others = pd.DataFrame() if published is None else published
    _draw_frontier(axes, curves, abscissa)
    labels = list(draw_published(axes, others))
    for curve in curves:
        labels += _draw_curve(axes, curve, is_reference_point=abscissa.is_less_better)
        if abscissa.packed:
            _draw_packed(axes, curve, abscissa.packed)
    labels += _draw_diverged(axes, curves, panel.chance or 0.0)
    # Ticks follow the true values; limits also include points that were moved aside
    # (`points["x"]`).
    values = [*find_x(points, abscissa), *others.get("compression", ())]
    packed = points[abscissa.packed].dropna() if abscissa.packed else ()
    set_x_axis(axes, values, abscissa, drawn=[*points["x"], *packed])
    bounds = pd.concat([points, others.assign(num_diverged=0)]) if len(others) else points
    set_accuracy_limits(axes, bounds if within is None else within, panel.chance)
    labels += draw_chance(axes, panel.chance)
    axes.set_ylabel(f"{panel.split.capitalize()} accuracy (%)")
    return labels


def draw_published(axes: Axes, published: pd.DataFrame) -> Iterator[CurveLabel]:
    """Draw published curves thin, grey, dotted and hollow; yield a label for each.

    `published` has columns `method`, `compression` and `mean`, and may be empty.
    """
    if published.empty:
        return
    for method, points in published.sort_values("compression").groupby("method"):
        axes.plot(
            points["compression"],
            points["mean"],
            color=PUBLISHED_COLOUR,
            linewidth=0.8,
            linestyle=(0, (1, 2)),
            marker=method_look(str(method)).marker,
            markersize=3.2,
            markerfacecolor="white",
            markeredgewidth=0.6,
            label=name_published(str(method)),
            zorder=2,
        )
        end = points.iloc[-1]
        name = name_published(str(method))
        yield CurveLabel(name, PUBLISHED_COLOUR, float(end["compression"]), float(end["mean"]))


def name_published(method: str) -> str:
    """The label of a published curve."""
    return f"published: {method}"


def mark_diverged(
    axes: Axes, label: str, colour: str, place: tuple[float, float], shift: float = 0.0
) -> None:
    """Draw the cross of a diverged run in data coordinates, moved right by `shift` points."""
    offset = ScaledTranslation(shift / 72, 0, axes.figure.dpi_scale_trans)
    axes.plot(
        [place[0]],
        [place[1]],
        linestyle="none",
        marker=DIVERGED_MARKER,
        markersize=5.5,
        markeredgewidth=1.6,
        color=colour,
        label=f"{label} diverged",
        transform=axes.transData + offset,
        clip_on=False,
        zorder=5,
    )


def _draw_curve(axes: Axes, curve: Curve, is_reference_point: bool) -> list[CurveLabel]:
    """Draw the means and spreads of a curve; return its label, which for dense is at the edge."""
    means, colour = curve.means, curve.style.colour
    if means.empty:
        return []
    if curve.kind == "dense":
        return [draw_reference(axes, curve, is_reference_point)]
    return [
        draw_line(
            axes,
            means,
            "x",
            curve.label,
            color=colour,
            marker=curve.style.marker,
            linestyle=curve.style.line,
            markerfacecolor="white" if curve.variant else colour,
            markeredgecolor=colour if curve.variant else "white",
            markeredgewidth=0.9 if curve.variant else 0.4,
        )
    ]


def draw_line(
    axes: Axes, points: pd.DataFrame, x: str, name: str, level: float = 0.0, **look: Any
) -> CurveLabel:
    """Draw a line through the completed points, with the spread of their seeds; return its label.

    Args:
        axes: Where to draw.
        points: Rows with ``mean``, ``std`` and ``n``, in the order of the line.
        x: The column of their places.
        name: Of the line.
        level: Where its label stands if no point has a completed run.
        look: Of the line and its markers, in matplotlib's words; ``color`` is also the label's.
    """
    means = points[points["n"] > 0]
    if means.empty:
        return CurveLabel(name, look["color"], float(points[x].iloc[-1]), level)
    axes.errorbar(
        means[x],
        means["mean"],
        yerr=means["std"].fillna(0.0) if means["std"].notna().any() else None,
        elinewidth=0.8,
        label=name,
        zorder=3,
        **look,
    )
    last = means.iloc[-1]
    return CurveLabel(name, look["color"], float(last[x]), float(last["mean"]))


def _draw_packed(axes: Axes, curve: Curve, column: str) -> None:
    """Draw from each point to what is left of its file: a thin line with a mark at its end."""
    for place in curve.means.dropna(subset=[column]).to_dict("records"):
        axes.plot(
            [place["x"], place[column]],
            [place["mean"]] * 2,
            color=curve.style.colour,
            linewidth=0.8,
            marker="|",
            markevery=[1],
            markersize=5,
            markeredgewidth=1.1,
            label=f"{curve.label} zstd",
            zorder=2.5,
        )


def draw_reference(axes: Axes, curve: Curve, has_place: bool) -> CurveLabel:
    """Draw dense as a horizontal line, and as a point if its x is meaningful."""
    means, colour = curve.means, curve.style.colour
    level, spread = means["mean"].mean(), means["std"].fillna(0.0).mean()
    axes.axhline(level, color=colour, linewidth=0.9, zorder=2)
    if spread:
        axes.axhspan(level - spread, level + spread, color=colour, alpha=0.08, linewidth=0)
    if has_place:
        axes.plot(
            means["x"],
            means["mean"],
            linestyle="none",
            marker=curve.style.marker,
            markersize=7,
            color=colour,
            markeredgecolor="white",
            markeredgewidth=0.4,
            zorder=4,
        )
    return CurveLabel(curve.label, colour, AT_EDGE, level)


def _draw_diverged(axes: Axes, curves: Sequence[Curve], level: float) -> list[CurveLabel]:
    """Mark diverged runs at chance level, side by side if several share one x.

    Returns labels for the curves that have no other point.
    """
    marks: dict[float, list[Curve]] = {}
    for curve in curves:
        for x in curve.points.loc[curve.points["num_diverged"] > 0, "x"].unique():
            marks.setdefault(float(x), []).append(curve)
    for x, diverged in marks.items():
        for place, curve in enumerate(diverged):
            shift = (place - (len(diverged) - 1) / 2) * DIVERGED_STEP_POINTS
            mark_diverged(axes, curve.label, curve.style.colour, (x, level), shift)
    lost = [curve for curve in curves if curve.means.empty]
    return [
        CurveLabel(curve.label, curve.style.colour, float(curve.points["x"].iloc[-1]), level)
        for curve in lost
    ]


def _draw_frontier(axes: Axes, curves: Sequence[Curve], abscissa: Abscissa) -> None:
    """Lay a grey band under the Pareto frontier."""
    frontier = find_frontier(curves, abscissa)
    if frontier:
        x, y = zip(*frontier, strict=True)
        axes.plot(x, y, color=FRONTIER_COLOUR, linewidth=5.5, solid_joinstyle="round", zorder=1)


def draw_chance(axes: Axes, chance: float | None) -> list[CurveLabel]:
    """Draw the chance level if the axis reaches it; return its label, which explains crosses."""
    key = f"{TIMES} diverged"
    shows_cross = any(line.get_marker() == DIVERGED_MARKER for line in axes.lines)
    if chance is None:
        return [CurveLabel(key, QUIET, AT_EDGE, 0.0)] if shows_cross else []
    if axes.get_ylim()[0] > chance:
        return []
    axes.axhline(chance, color=QUIET, linewidth=0.7, linestyle=(0, (1, 3)), zorder=1)
    text = f"chance ({key})" if shows_cross else "chance"
    return [CurveLabel(text, QUIET, AT_EDGE, chance)]


def mark_lost(
    axes: Axes, points: pd.DataFrame, value_column: str, name_column: str, level: float
) -> None:
    """Mark the points with diverged runs at chance level, side by side if several share a value.

    Args:
        axes: What to draw on.
        points: With `method`, `num_diverged` and the columns that follow.
        value_column: Of the x axis.
        name_column: Of the curve's name.
        level: Chance, in percent.
    """
    lost = points[points["num_diverged"] > 0]
    for value, marks in lost.groupby(value_column):
        names = marks[["method", name_column]].itertuples(index=False, name=None)
        for place, (method, name) in enumerate(names):
            shift = (place - (len(marks) - 1) / 2) * DIVERGED_STEP_POINTS
            colour = method_look(method).colour
            mark_diverged(axes, name, colour, (float(str(value)), level), shift)

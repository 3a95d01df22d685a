"""What is compressed after training: accuracy without and with retraining, by bytes of the file.

Without: the trained dense network compressed at once and evaluated as it is. With: after the
trainings that the method then does. The sizes are those of the real files.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.records.schema import UNRETRAINED_BYTES
from rps_bench.reports.figures.accuracy import draw_chance, draw_reference, mark_lost
from rps_bench.reports.figures.axes import BYTES, find_x, set_accuracy_limits, set_x_axis
from rps_bench.reports.figures.curves import Curve, describe_curves, find_curves
from rps_bench.reports.figures.labels import WIDE_STYLE, CurveLabel, LabelColumn, draw_labels
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.figures.small_print import describe_panels

WIDTH, HEIGHT = 6.5, 3.8  # inches, without the small print
MARGINS = Margins()
WITHOUT_LINE = (0, (1, 1.5))
NOTES = (
    "filled: retrained; hollow, dotted: the trained dense network compressed at once, not trained"
    " again"
)


def find_retrained(panel: Panel) -> pd.DataFrame:
    """The points of a panel that tell what there was without retraining, and those of dense."""
    points = panel.points[find_x(panel.points, BYTES).notna()]
    is_retrained = points["unretrained_mean"].notna() & points[UNRETRAINED_BYTES].notna()
    if not is_retrained.any():
        return points.iloc[:0]
    return points[is_retrained | (points["method_kind"] == "dense")]


def draw_after_training(panel: Panel, points: pd.DataFrame) -> Figure:
    """The figure of one panel's ``find_retrained``; needs `figure_style` in force."""
    curves = find_curves(points, BYTES)
    alone = [note for note in describe_curves(curves, BYTES._replace(packed=None)) if ":" in note]
    lines = [note for note in alone if not note.startswith("grey band")]
    page = Page(WIDTH, (HEIGHT,), [*describe_panels([panel], lines), NOTES], margins=MARGINS)
    axes, right = page.add_axes(0)
    labels = [_draw_curve(axes, curve) for curve in curves if not curve.means.empty]
    mark_lost(axes, points.assign(bytes=find_x(points, BYTES)), "bytes", "label", panel.chance or 0)
    set_x_axis(axes, find_x(points, BYTES), BYTES, drawn=points[UNRETRAINED_BYTES].dropna())
    set_accuracy_limits(axes, _stack(points), panel.chance)
    labels += draw_chance(axes, panel.chance)
    axes.set_ylabel(f"{panel.split.capitalize()} accuracy (%)")
    axes.set_title(f"{panel.title}: after training, without and with retraining")
    draw_labels([LabelColumn(axes, labels, right)], WIDE_STYLE)
    return page.figure


def _stack(points: pd.DataFrame) -> pd.DataFrame:
    """All means that are drawn, below each other."""
    without = {"mean": points["unretrained_mean"], "std": points["unretrained_std"]}
    return pd.concat([points, points.assign(**without)])


def _draw_curve(axes: Axes, curve: Curve) -> CurveLabel:
    """Draw a method's points with and without retraining, and what joins each pair."""
    if curve.kind == "dense":
        return draw_reference(axes, curve, has_place=True)
    means, style = curve.means, curve.style
    for x, low, before, after in zip(
        means[UNRETRAINED_BYTES], means["x"], means["unretrained_mean"], means["mean"], strict=True
    ):
        axes.plot([x, low], [before, after], color=style.colour, linewidth=0.6, alpha=0.5, zorder=2)
    for x, values, spread, line, face, words in (
        (means[UNRETRAINED_BYTES], "unretrained_mean", "unretrained_std", WITHOUT_LINE, "white",
         "without retraining"),
        (means["x"], "mean", "std", style.line, style.colour, "retrained"),
    ):  # fmt: skip
        axes.errorbar(
            x,
            means[values],
            yerr=means[spread].fillna(0.0) if means[spread].notna().any() else None,
            color=style.colour,
            linestyle=line,
            marker=style.marker,
            markerfacecolor=face,
            markeredgewidth=0.9 if face == "white" else 0.4,
            elinewidth=0.8,
            label=f"{curve.label} {words}",
            zorder=3,
        )
    last = means.iloc[-1]
    return CurveLabel(curve.label, style.colour, float(last["x"]), float(last["mean"]))

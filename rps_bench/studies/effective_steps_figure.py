"""The figure of `effective_steps`: starts, first turnings, norms and turnings, by variant."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from rps_bench.methods import METHODS
from rps_bench.reports.figures.axes import choose_ticks
from rps_bench.reports.figures.labels import SMALL_STYLE, CurveLabel, LabelColumn, draw_labels
from rps_bench.reports.figures.layout import QUIET, Margins, Page
from rps_bench.reports.styles import MethodStyle, method_look, method_style
from rps_bench.reports.words import format_ratio
from rps_bench.studies.looks import registered_style

CELL_WIDTH, CELL_HEIGHT = 4.4, 2.7  # inches
VARIANT_COLOURS = {
    "stable_rps repository_init=matched": "#56B4E9",
    "stable_rps scaling=none": "#332288",
    "rand density=erk": "#AA0000",
}  # others by their words


def draw_figure(table: pd.DataFrame, compression: float, small_print: Sequence[str]) -> Figure:
    """Draw medians over layers: predictions against measurements above, a row per course below."""
    steps = table[(table["part"] == "steps") & table["compression"].isin([1, compression])]
    steps = steps[(steps["compression"] > 1) | (steps["variant"] == "dense")]
    courses = list(dict.fromkeys(steps["course"]))
    page = Page(
        CELL_WIDTH,
        [CELL_HEIGHT] * (1 + len(courses)),
        [
            "medians over the layers before BatchNorm that keep any weight; a mark for each"
            " compression, the larger the higher; dotted: predicted, from the run's own gradients"
            " (curves), or steady state (grey line)",
            *small_print,
        ],
        num_columns=2,
        title="Norm of the weights and turning of a training step, predicted and measured",
        margins=Margins(left=0.75),
    )
    columns = [
        _draw_pairs(page, 0, table[table["part"] == "start"], "predicted_ratio", "ratio"),
        _draw_pairs(page, 1, _first(table, courses[0]), "first_angle", "angle"),
    ]
    for row, course in enumerate(courses, 1):
        own = steps[steps["course"] == course]
        title = f"{course}, {format_ratio(compression)}"
        columns.append(_draw_curves(page, row, 0, own, "norm", title))
        columns.append(_draw_curves(page, row, 1, own, "angle", title))
        steady = table[(table["part"] == "equilibrium") & (table["course"] == course)]
        if len(steady):
            columns[-1].axes.axhline(steady["predicted_angle"].iloc[0], color=QUIET, linewidth=0.8)
    draw_labels(columns, SMALL_STYLE)
    return page.figure


def _first(table: pd.DataFrame, course: str) -> pd.DataFrame:
    return table[(table["part"] == "steps") & (table["course"] == course) & (table["step"] == 1)]


def _draw_pairs(
    page: Page, column: int, own: pd.DataFrame, predicted: str, measured: str
) -> LabelColumn:
    """Draw what was measured against what was predicted; on the line both are equal."""
    titles = {
        "ratio": ("Start: |w|\N{SUPERSCRIPT TWO} / dense", "|w|\N{SUPERSCRIPT TWO} / dense"),
        "angle": ("First step", "turning (radians)"),
    }
    axes, right = page.add_axes(0, column)
    title, quantity = titles[measured]
    axes.set_title(title, fontsize=8.5)
    keys = ["variant", "compression"]
    points = own.groupby(keys, sort=False)[[predicted, measured]].median().dropna().reset_index()
    labels = []
    for variant, group in points.groupby("variant", sort=False):
        style = _style(str(variant))
        x, y, sizes = group[predicted], group[measured], 10 + 12 * group["compression"].rank()
        axes.scatter(x, y, sizes, style.colour, marker=style.marker, linewidth=0, alpha=0.8)
        labels.append(CurveLabel(_shorten(str(variant)), style.colour, x.iloc[-1], y.iloc[-1]))
    values = [*points[predicted], *points[measured]]
    limits = min(values) / 1.5, max(values) * 1.5
    axes.plot(limits, limits, color=QUIET, linewidth=0.8, zorder=0)
    axes.set(xlim=limits, ylim=limits)
    _set_axes(axes, f"Predicted {quantity}", "Measured")
    return LabelColumn(axes, labels, right)


def _draw_curves(
    page: Page, row: int, column: int, own: pd.DataFrame, quantity: str, title: str
) -> LabelColumn:
    """Draw medians over layers by step, and dotted the predicted ones."""
    axes, right = page.add_axes(row, column)
    axes.set_title(title, fontsize=8.5)
    labels = []
    for variant, group in own.groupby("variant", sort=False):
        style = _style(str(variant))
        course = group.groupby("step")[[quantity, f"predicted_{quantity}"]].median()
        axes.plot(course[quantity], color=style.colour, linestyle=style.line, linewidth=1.2)
        axes.plot(course[f"predicted_{quantity}"], color=style.colour, linestyle=":", linewidth=0.9)
        end = course.index[-1], course[quantity].iloc[-1]
        labels.append(CurveLabel(_shorten(str(variant)), style.colour, *end))
    y_title = {"norm": "|w|", "angle": "Turning of a step (radians)"}[quantity]
    _set_axes(axes, "Training step", y_title)
    return LabelColumn(axes, labels, right)


def _set_axes(axes: Axes, x_title: str, y_title: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel=x_title, ylabel=y_title)
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_major_locator(FixedLocator(choose_ticks(*limits)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def _style(variant: str) -> MethodStyle:
    """The method's own style, or another colour of its kind for a variant of it."""
    method = variant.split()[0]
    if variant == method:
        return registered_style(method)
    return MethodStyle(
        VARIANT_COLOURS.get(variant, method_look(variant).colour),
        method_look(method).marker,
        method_style(method, METHODS[method].kind).line,
    )


def _shorten(variant: str) -> str:
    """A variant without the names of its options."""
    return " ".join(word.rpartition("=")[2] for word in variant.split())

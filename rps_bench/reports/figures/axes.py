"""The axes of an accuracy figure: the quantity on x, ticks and limits."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from rps_bench.records.schema import FILE_ZSTD
from rps_bench.reports.words import format_bytes, format_count, format_number, format_ratio

SMALLEST_LABEL_GAP = 24.0  # points between two labelled ticks
LEFT_BY_LABELS = 0.6  # of the axes' width, what remains once the curves' labels are beside them
PAD = 0.045  # added at both ends, relative to the data's range in log x
SMALLEST_SPAN = 2.25  # least ratio of the right end of the axis to its left end
LARGEST_GRID = 8  # the most values that are used as ticks themselves

_LADDERS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0))


class Abscissa(NamedTuple):
    """A quantity that accuracy is drawn against: always logarithmic, the better end on the right.

    The values are those of `column` of `Study.points`, or of `fallback` where that is null.
    `stands_still` says that all points of a method may share one value; such curves are then drawn
    side by side.
    """

    column: str
    fallback: str | None
    suffix: str  # added to the file's name
    title: str
    format: Callable[[float], str]
    is_less_better: bool = False
    stands_still: bool = False
    is_cost: bool = False  # not drawn for diverged runs: they stopped early, so it means nothing
    packed: str | None = None  # column of what zstd leaves of the value, where records tell it


COMPRESSION = Abscissa(
    "compression", None, "", "Compression of the compressible weights", format_ratio
)
BYTES = Abscissa(
    "stored_bytes", None, "-bytes",
    "Size of the compressed file (smaller is better, to the right)", format_bytes, True,
    packed=FILE_ZSTD,
)  # fmt: skip
ABSCISSAS = (
    COMPRESSION,
    Abscissa(
        "true_compression", "compression", "-true-compression",
        "True compression (all parameters of the dense model / all stored)", format_ratio,
    ),
    BYTES,
    Abscissa(
        "effective_macs", "macs", "-macs",
        "Multiply-adds per image, for pruning of kept weights only"
        " (fewer is better, to the right)", format_count, True, True,
    ),
    Abscissa(
        "total_epochs", None, "-cost",
        "Epochs of all trainings that one model took (fewer is better, to the right)",
        format_number, True, True, True,
    ),
)  # fmt: skip
# Drawn only if times were measured (`rps_bench.reports.analysis.latency`).
LATENCY = Abscissa(
    "latency_ms", None, "-latency",
    "Milliseconds for one image (fewer is better, to the right)", format_number, True, True,
)  # fmt: skip


def find_x(points: pd.DataFrame, abscissa: Abscissa) -> "pd.Series[float]":
    """The x of each point, null if it has none (a log axis has no zero)."""
    x = points[abscissa.column].astype("float64")
    if abscissa.fallback:
        x = x.fillna(points[abscissa.fallback].astype("float64"))
    x = x.where(x > 0)
    return x.where(points["n"] > 0) if abscissa.is_cost else x


def can_place(points: pd.DataFrame, abscissa: Abscissa) -> bool:
    """Whether any point has an x on this axis."""
    return bool(find_x(points, abscissa).notna().any())


def set_x_axis(
    axes: Axes, values: Iterable[float], abscissa: Abscissa, drawn: Iterable[float] = ()
) -> None:
    """Make x logarithmic over `values`, the better end on the right, and choose the ticks.

    `drawn` are the x of points that were moved off their values.
    """
    grid = sorted(set(values))
    extent = [*grid, *drawn]
    low, high = min(extent), max(extent)
    ratio = high / low
    # Widen the limits by PAD, and further if the axis would span less than SMALLEST_SPAN.
    pad = max(ratio**PAD, math.sqrt(SMALLEST_SPAN / ratio))
    low, high = low / pad, high * pad
    axes.set_xscale("log")
    axes.set_xlim((high, low) if abscissa.is_less_better else (low, high))
    axes.set_xlabel(abscissa.title)
    # Few distinct values become the ticks themselves; otherwise round numbers are chosen.
    if abscissa.column == "compression" or (abscissa.stands_still and len(grid) <= LARGEST_GRID):
        labelled = choose_labelled(grid, label_gap(axes) * math.log(high / low))
    else:
        ticks = choose_ticks(low, high)
        grid = labelled = choose_labelled(ticks, label_gap(axes) * math.log(high / low))
    axes.xaxis.set_major_locator(FixedLocator(labelled))
    axes.xaxis.set_minor_locator(FixedLocator([x for x in grid if x not in labelled]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: abscissa.format(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def set_log_y(axes: Axes, ticks: Sequence[float]) -> None:
    """Make y logarithmic with these ticks, written without exponents."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_number(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())


def label_gap(axes: Axes) -> float:
    """The least distance between two tick labels, relative to the axis."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    inches = axes.get_position().width * figure.get_figwidth()
    return SMALLEST_LABEL_GAP / (72 * inches * LEFT_BY_LABELS)


def choose_labelled(grid: list[float], gap: float) -> list[float]:
    """The values of the grid to label, powers of ten first, at least `gap` apart in log x."""
    # Greedy: powers of ten come first, then the others from small to large where there is room.
    chosen: list[float] = []
    for value in sorted(grid, key=lambda value: (math.log10(value) % 1 != 0, value)):
        if all(abs(math.log(value / other)) >= gap for other in chosen):
            chosen.append(value)
    return sorted(chosen)


def choose_ticks(low: float, high: float) -> list[float]:
    """Round values within [low, high], from the coarsest ladder that yields at least three.

    The finest ladder yields at least two if high / low is `SMALLEST_SPAN` or more.
    """
    ticks: list[float] = []
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for ladder in _LADDERS:
        ticks = [
            round(step * 10.0**decade, 12 - decade)
            for decade in range(first, last + 1)
            for step in ladder
        ]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    return ticks


def set_accuracy_limits(axes: Axes, points: pd.DataFrame, chance: float | None) -> None:
    """Fit y to the means and spreads, and down to chance if runs diverged or are near it.

    `points` has columns `mean`, `std` and `num_diverged`.
    """
    means, spreads = points["mean"].dropna(), points["std"].fillna(0.0)
    level = chance or 0.0
    low = (means - spreads).min() if len(means) else level
    high = (means + spreads).max() if len(means) else level + 10
    # Crosses of diverged runs lie at chance; curves in the lower half need it for orientation.
    if (points["num_diverged"] > 0).any() or low - level < (high - level) / 2:
        low = min(low, level)
    pad = max((high - low) * 0.06, 1.5)
    axes.set_ylim(low - pad, high + pad)


def set_log_values(axes: Axes, values: "pd.Series[float]", title: str) -> None:
    """A logarithmic x axis with a tick at each value, as many labelled as there is room for."""
    grid = sorted(set(values))
    pad = (grid[-1] / grid[0]) ** 0.06 if len(grid) > 1 else 1.5
    low, high = grid[0] / pad, grid[-1] * pad
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    labelled = choose_labelled(grid, label_gap(axes) * math.log(high / low))
    axes.xaxis.set_major_locator(FixedLocator(labelled))
    axes.xaxis.set_minor_locator(FixedLocator([x for x in grid if x not in labelled]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(title)

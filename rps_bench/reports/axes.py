"""The two axes of an accuracy figure: which ticks, which limits."""

import math
from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from rps_bench.reports.styles import TIMES

AXIS_TITLES = {
    "compression": "Compression of the compressible weights",
    "true_compression": "True compression (all parameters of the dense model / all stored)",
}
SMALLEST_LABEL_GAP = 0.085  # of the axis, between two labelled ticks


def set_compression_axis(axes: Axes, values: Iterable[float], abscissa: str) -> None:
    """Make x logarithmic over `values`; ticks are the grid itself for nominal compression."""
    grid = sorted(set(values))
    pad = (grid[-1] / grid[0]) ** 0.045 if grid[-1] > grid[0] else 1.5
    low, high = grid[0] / pad, grid[-1] * pad
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xlabel(AXIS_TITLES[abscissa])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_ratio(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if abscissa == "compression":
        labelled = choose_labelled(grid, SMALLEST_LABEL_GAP * math.log(high / low))
        axes.xaxis.set_major_locator(FixedLocator(labelled))
        axes.xaxis.set_minor_locator(FixedLocator([x for x in grid if x not in labelled]))
    else:
        fine = math.log10(high / low) < 1.5
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if fine else (1.0,)))
        axes.xaxis.set_minor_locator(NullLocator())


def format_ratio(value: float) -> str:
    """Write a compression to three digits, whole from a thousand on: 3.16x, 10x, 1000x."""
    return (f"{value:.3g}" if value < 999.5 else f"{value:.0f}") + TIMES


def choose_labelled(grid: list[float], gap: float) -> list[float]:
    """Return the grid values to label, powers of ten first, at least `gap` apart in log x."""
    chosen: list[float] = []
    for value in sorted(grid, key=lambda value: (math.log10(value) % 1 != 0, value)):
        if all(abs(math.log(value / other)) >= gap for other in chosen):
            chosen.append(value)
    return sorted(chosen)


def set_accuracy_limits(axes: Axes, points: pd.DataFrame, chance: float | None) -> None:
    """Fit y to the means and spreads, down to chance where runs diverged or come near it."""
    means, spreads = points["mean"].dropna(), points["std"].fillna(0.0)
    level = chance or 0.0
    low = (means - spreads).min() if len(means) else level
    high = (means + spreads).max() if len(means) else level + 10
    if (points["num_diverged"] > 0).any() or low - level < (high - level) / 2:
        low = min(low, level)
    pad = max((high - low) * 0.06, 1.5)
    axes.set_ylim(low - pad, high + pad)

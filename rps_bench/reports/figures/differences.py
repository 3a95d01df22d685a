"""Accuracy minus that of stable_rps, method by method: does the order depend on the experiment?

A row per method, a panel per compression, and in each row a mark for every experiment: the same
methods by fixed and tuned learning rates, in few epochs and in many.
"""

import itertools
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rps_bench.config import FIXED
from rps_bench.reports.claims.declared import REFERENCE
from rps_bench.reports.figures.accuracy import mark_diverged
from rps_bench.reports.figures.labels import SMALL_STYLE, wrap_label
from rps_bench.reports.figures.layout import QUIET, Margins, Page, num_rows
from rps_bench.reports.figures.paired import PairedRows, describe_pairs, find_limits
from rps_bench.reports.figures.small_print import describe_origin
from rps_bench.reports.styles import KIND_LINES, MethodLook, method_rank
from rps_bench.reports.words import format_ratio, name_arithmetic

CELL_WIDTH, LONE_WIDTH = 2.7, 4.4  # inches
LABELS_WIDTH = 1.35
MARGINS = Margins(left=0.12, right=0.12, bottom=0.42, top=0.3)
MOST_COLUMNS = 3
ROW, MARK_STEP = 0.1, 0.09  # inches of a row without marks, and of each mark
LEGEND_LINE = 0.16  # inches
# An experiment's colour and marker, by its place; no method's, since rows tell these apart.
LOOKS = tuple(
    MethodLook(colour, marker)
    for marker, colour in zip(
        itertools.cycle("osD^v"),
        ("#222222", "#D55E00", "#0072B2", "#CC79A7", "#009E73", "#E69F00", "#56B4E9"),
        strict=False,
    )
)


def draw_differences(problem: PairedRows) -> Figure:
    """Difference by method and experiment, a panel per compression; needs `figure_style` in force.

    Marks are means over pairs of runs with the same seed, with the 95% t interval as a bar; those
    of one pair are hollow. Methods keep their order, sharing first.
    """
    rows = problem.rows
    methods, experiments = _order_methods(rows), _order_experiments(rows)
    kinds = rows.groupby("method")["kind"].first()
    kind_starts = [
        line for line, (above, below) in enumerate(itertools.pairwise(methods), start=1)
        if kinds[above] != kinds[below]
    ]  # fmt: skip
    ratios = sorted(rows["compression"].unique())
    num_columns = min(len(ratios), MOST_COLUMNS)
    body = len(methods) * (ROW + MARK_STEP * len(experiments))
    cells = [body + MARGINS.top + MARGINS.bottom] * num_rows(len(ratios), num_columns)
    page = Page(
        LONE_WIDTH if num_columns == 1 else CELL_WIDTH,
        [LEGEND_LINE * len(experiments), *cells],
        _describe(problem),
        num_columns=num_columns,
        title=f"{problem.title}: accuracy minus {REFERENCE}'s",
        left=LABELS_WIDTH,
        margins=MARGINS,
    )
    _draw_legend(page, experiments)
    for place, ratio in enumerate(ratios):
        line, column = divmod(place, num_columns)
        axes, _ = page.add_axes(line + 1, column)
        _draw_cell(axes, rows[rows["compression"] == ratio], methods, experiments)
        _draw_separators(axes, len(methods), kind_starts)
        axes.set_title(format_ratio(float(ratio)), fontsize=8.5)
        axes.tick_params(labelleft=column == 0)
    return page.figure


def _order_methods(rows: pd.DataFrame) -> list[str]:
    """By kind, then as in every figure; variants of a method follow it."""
    kinds = list(KIND_LINES)
    keys = {
        (kinds.index(kind) if kind in kinds else len(kinds), method_rank(base), base, name)
        for kind, base, name in zip(rows["kind"], rows["base"], rows["method"], strict=True)
    }
    return [name for *_, name in sorted(keys)]


def _order_experiments(rows: pd.DataFrame) -> list[str]:
    """From the smallest budget to the largest, and the fixed protocol before the tuned one."""
    keys = zip(rows["planned_epochs"], rows["protocol"] != FIXED, rows["experiment"], strict=True)
    return [name for *_, name in sorted(set(keys))]


def _draw_legend(page: Page, experiments: Sequence[str]) -> None:
    """Name the marks, one experiment per line, below the figure's title."""
    handles = [
        Line2D(
            [], [], color=look.colour, marker=look.marker, markersize=4, linewidth=0.8, label=name
        )
        for name, look in zip(experiments, itertools.cycle(LOOKS), strict=False)
    ]
    height = page.figure.get_figheight()
    page.figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 1 - page.title_height / height),
        borderaxespad=0.2,
        fontsize=7,
        labelspacing=0.3,
        frameon=False,
    )


def _draw_cell(
    axes: Axes, own: pd.DataFrame, methods: Sequence[str], experiments: Sequence[str]
) -> None:
    step = MARK_STEP / (ROW + MARK_STEP * len(experiments))
    axes.axvline(0.0, color=QUIET, linewidth=0.9, zorder=1)
    for row in own.to_dict("records"):
        place = experiments.index(row["experiment"])
        y = methods.index(row["method"]) + step * (place - (len(experiments) - 1) / 2)
        x, look = row["difference"], LOOKS[place % len(LOOKS)]
        is_lone = row["n"] == 1
        axes.errorbar(
            [x], [y], xerr=None if is_lone else [[x - row["low"]], [row["high"] - x]],
            color=look.colour, marker=look.marker, markersize=3.8,
            markerfacecolor="white" if is_lone else look.colour, markeredgewidth=0.9,
            elinewidth=0.9, capsize=0, linestyle="none",
            label=f"{row['method']}, {row['experiment']}", zorder=3,
        )  # fmt: skip
        if row["num_diverged"] + row["num_diverged_reference"]:
            mark_diverged(axes, row["method"], look.colour, (x, y))
    axes.set_xlim(*find_limits(own))
    axes.set_ylim(len(methods) - 0.5, -0.5)
    names = [wrap_label(name, SMALL_STYLE.widest) for name in methods]
    axes.set_yticks(range(len(methods)), names, fontsize=SMALL_STYLE.font_size)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("Points of accuracy")


def _draw_separators(axes: Axes, num_methods: int, kind_starts: Sequence[int]) -> None:
    """Part the rows, and those of another kind more strongly."""
    for line in range(1, num_methods):
        width, alpha = (0.8, 1.0) if line in kind_starts else (0.3, 0.5)
        axes.axhline(line - 0.5, color=QUIET, linewidth=width, alpha=alpha, zorder=1)


def _describe(problem: PairedRows) -> list[str]:
    """The small print: what a mark is, how many seeds it has, whence the runs."""
    rows, runs = problem.rows, problem.runs
    return [
        describe_pairs(rows),
        f"{name_arithmetic(runs['precision'], runs['kernels'])};"
        f" {describe_origin(runs, problem.num_failed)}",
    ]

"""The effect of imbalanced training classes on pruning and on sharing.

Desai and Shrivastava 2024 compare both on balanced data. Here class k of K keeps N (k + 1)^-a
training images, and the test split stays balanced, so that rare classes count as much as common
ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rps_bench.core import checks
from rps_bench.reports.figures.layout import QUIET, Margins, Page
from rps_bench.reports.styles import DATASET_TITLES, MethodLook, method_look
from rps_bench.reports.words import format_ratio
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.sweeps import train

EXPERIMENT = "study_imbalance"
COLUMNS = {
    "dataset": "dataset",
    "dataset.imbalance": "imbalance",
    "dataset.num_train": "num_train",
    "method": "method",
    "compression": "compression",
    "seed": "seed",
    "accuracy": "accuracy",
    "loss": "loss",
    "has_diverged": "has_diverged",
}  # column of the runs -> column of the table

CELL_WIDTH, LINE_HEIGHT = 3.4, 0.26  # inches
MARGINS = Margins(left=0.85, right=0.15, bottom=0.24)
SEED_SIZE, MEAN_SIZE = 7.0, 32.0  # points^2


@dataclass(frozen=True)
class Imbalance(TheoryStudy):
    """Test accuracy with and without imbalanced training classes, after an ordinary sweep."""

    name: ClassVar[str] = "imbalance"
    question: ClassVar[str] = "What do training classes of unequal size do to each method?"

    imbalance: float
    overrides: tuple[str, ...]

    def __post_init__(self) -> None:
        checks.number("imbalance", self.imbalance, "a number above 1", lambda ratio: ratio > 1)
        for word in self.overrides:
            checks.text("overrides", word)

    def measure(self, folder: Path) -> pd.DataFrame:
        """A row per run: `accuracy` on the balanced test split in percent, null if it diverged.

        `imbalance` is null for balanced training. The records count by class, the table does not.
        The records are kept in `folder`/imbalance, and recorded runs are not repeated.
        """
        words = [f"dataset.imbalance=null,{self.imbalance:g}", *self.overrides]
        runs = train(EXPERIMENT, folder / self.name, words)
        table = runs[list(COLUMNS)].rename(columns=COLUMNS)
        keys = ["imbalance", "method", "compression", "seed"]
        return table.sort_values(keys, ignore_index=True, na_position="first")

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: a line per method between its accuracies on imbalanced and balanced data."""
        compressions = sorted(set(table["compression"]) - {1.0})
        panels = [table[table["compression"].isin([1.0, c])] for c in compressions]
        orders = [_order_methods(panel) for panel in panels]
        sizes = table.groupby(table["imbalance"].isna())["num_train"].max()
        page = Page(
            CELL_WIDTH,
            [LINE_HEIGHT * max(map(len, orders)) + MARGINS.top + MARGINS.bottom],
            [
                f"filled: balanced training data, {sizes.get(True, 0):,} images; hollow: imbalance"
                f" {table['imbalance'].max():g}, {sizes.get(False, 0):,} images; large: mean over"
                " seeds" + ("; cross: diverged" if table["has_diverged"].any() else ""),
                *small_print,
            ],
            num_columns=len(panels),
            title=f"Imbalanced training classes, balanced test split: {_name_dataset(table)}",
            x_title="Test accuracy (%)",
            margins=MARGINS,
        )
        for column, (panel, order) in enumerate(zip(panels, orders, strict=True)):
            axes, _ = page.add_axes(0, column)
            axes.set_title(format_ratio(compressions[column]) + " compression")
            _draw_panel(axes, panel, order)
            axes.set_xlim(*_find_limits(table))
        return page.figure


def _name_dataset(table: pd.DataFrame) -> str:
    return ", ".join(DATASET_TITLES.get(name, name) for name in dict.fromkeys(table["dataset"]))


def _find_limits(table: pd.DataFrame) -> tuple[float, float]:
    low, high = table["accuracy"].min(), table["accuracy"].max()
    pad = 0.04 * (high - low) + 1
    return max(0.0, low - pad), min(100.0 + pad, high + pad)


def _order_methods(panel: pd.DataFrame) -> list[str]:
    """The methods by mean accuracy on imbalanced data, best last; diverged runs count as 0.

    The last one is drawn at the top.
    """
    imbalanced = panel[panel["imbalance"].notna()]
    means = imbalanced["accuracy"].fillna(0.0).groupby(imbalanced["method"]).mean()
    return [str(method) for method in means.sort_values().index]


def _draw_panel(axes: Axes, panel: pd.DataFrame, order: Sequence[str]) -> None:
    for place, method in enumerate(order):
        own = panel[panel["method"] == method]
        look = method_look(method)
        means = []
        for is_balanced in (True, False):
            runs = own[own["imbalance"].isna() == is_balanced]
            means.append(runs["accuracy"].mean())
            _draw_runs(axes, runs["accuracy"], place, look, is_balanced)
        axes.add_line(Line2D(means, [place, place], color=look.colour, linewidth=0.9, zorder=1))
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _draw_runs(
    axes: Axes, accuracies: "pd.Series[float]", place: int, look: MethodLook, is_filled: bool
) -> None:
    """Draw seeds small and their mean large, and a cross at the left edge if any run diverged."""
    num_diverged = int(accuracies.isna().sum())
    if num_diverged:
        edge = axes.get_yaxis_transform()
        axes.scatter([0.02], [place], marker="x", color=QUIET, s=MEAN_SIZE, transform=edge)
    if num_diverged == len(accuracies):
        return
    face = look.colour if is_filled else "white"
    for values, size, marker, alpha in (
        (accuracies.dropna().tolist(), SEED_SIZE, "o", 0.5),
        ([accuracies.mean()], MEAN_SIZE, look.marker, 1.0),
    ):
        axes.scatter(
            values,
            [place] * len(values),
            s=size,
            marker=marker,
            facecolor=face,
            edgecolor=look.colour,
            linewidth=0.8,
            alpha=alpha,
            zorder=2,
        )

"""Training of real networks across init stds of the repository, by gradient scaling.

Desai and Shrivastava 2024, section 5: without scaling, a sharing method trains only near one init
std; with gram, or squared_mean as in the published code, training is the same at every one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.core import checks
from rps_bench.methods.scaling import SCALINGS
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.styles import method_rank
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.sweeps import train

EXPERIMENT = "study_init_std"
COLUMNS = {
    "method": "method",
    "method.scaling": "scaling",
    "method.init_std": "init_std",
    "seed": "seed",
    "accuracy": "accuracy",
    "loss": "loss",
    "has_diverged": "has_diverged",
}  # column of the runs -> column of the table

COLOURS = "viridis"
BRIGHT = 0.6  # of the colour scale, from where numbers are black
DIVERGED_COLOUR = "#EFEFEF"
SQUARE = 0.62  # inches
MARGINS = Margins(left=1.0, right=0.15)


@dataclass(frozen=True)
class InitStd(TheoryStudy):
    """Accuracy by init std and scaling after an ordinary sweep."""

    name: ClassVar[str] = "init_std"
    question: ClassVar[str] = "With which gradient scaling does the init std not matter?"

    dataset: str
    recipe: str
    epochs: int
    overrides: tuple[str, ...]

    def __post_init__(self) -> None:
        checks.text("dataset", self.dataset)
        checks.text("recipe", self.recipe)
        checks.whole_number("epochs", self.epochs, 1)
        for word in self.overrides:
            checks.text("overrides", word)

    def measure(self, folder: Path) -> pd.DataFrame:
        """A row per run: `accuracy` on the test split in percent and `loss`, null if it diverged.

        The records are kept in `folder`/init_std, and recorded runs are not repeated.
        """
        words = [
            f"dataset={self.dataset}",
            f"recipe={self.recipe}",
            f"recipe.epochs={self.epochs}",
            *self.overrides,
        ]
        runs = train(EXPERIMENT, folder / self.name, words)
        table = runs[list(COLUMNS)].rename(columns=COLUMNS)
        return table.sort_values(["method", "scaling", "init_std", "seed"], ignore_index=True)

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: a heat map per method of mean accuracy over seeds, init std by scaling."""
        methods = sorted(set(table["method"]), key=method_rank)
        num_stds, num_scalings = table["init_std"].nunique(), table["scaling"].nunique()
        page = Page(
            SQUARE * num_stds + MARGINS.left + MARGINS.right,
            [0.7 * SQUARE * num_scalings + MARGINS.top + MARGINS.bottom],
            small_print,
            num_columns=len(methods),
            title="Accuracy (%) by init std and gradient scaling",
            margins=MARGINS,
        )
        for column, method in enumerate(methods):
            axes, _ = page.add_axes(0, column)
            axes.set_title(method)
            _draw_map(axes, table[table["method"] == method], table["accuracy"].max())
        return page.figure


def _draw_map(axes: Axes, own: pd.DataFrame, highest: float) -> None:
    """Draw init std by scaling; a cell in which any run diverged says so instead of a number."""
    cells = own.pivot_table(
        index="scaling", columns="init_std", values="accuracy", aggfunc="mean", dropna=False
    )
    diverged = own.pivot_table(
        index="scaling", columns="init_std", values="has_diverged", aggfunc="any"
    )
    axes.set_facecolor(DIVERGED_COLOUR)
    shown = cells.mask(diverged.astype(bool)).reindex([s for s in SCALINGS if s in cells.index])
    axes.pcolormesh(shown, vmin=0, vmax=highest, cmap=COLOURS, edgecolors="white", linewidth=0.8)
    for row, scaling in enumerate(shown.index):
        for column, init_std in enumerate(shown.columns):
            value = shown.loc[scaling, init_std]
            is_dark = value < BRIGHT * highest
            axes.text(
                column + 0.5,
                row + 0.5,
                "diverged" if pd.isna(value) else f"{value:.1f}",
                ha="center",
                va="center",
                fontsize=6.5 if pd.isna(value) else 8,
                color="white" if is_dark else "black",
            )
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks([c + 0.5 for c in range(len(shown.columns))], [f"{s:g}" for s in shown.columns])
    axes.set_yticks([row + 0.5 for row in range(len(shown.index))], list(shown.index))
    axes.invert_yaxis()
    axes.set_xlabel("Init std of the repository")

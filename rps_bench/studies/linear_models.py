"""Linear models whose weights are w = A theta: least squares on the compressed features A'x.

Desai and Shrivastava 2024 (arXiv 2310.11611) argue from inner products that parameter sharing loses
less than pruning in linear models. Here the best theta is computed, for real images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.base import Split
from rps_bench.methods import build_method
from rps_bench.methods.weight_map import WeightMap
from rps_bench.reports.figures.axes import COMPRESSION, set_x_axis
from rps_bench.reports.figures.labels import SMALL_STYLE, CurveLabel, LabelColumn, draw_labels
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.styles import DATASET_TITLES
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.looks import registered_style
from rps_bench.studies.sketches import compress_rows

CELL_WIDTH, CELL_HEIGHT = 3.9, 2.5  # inches
METHODS = ("rand", "hashednet", "rpg", "stable_rps")  # methods that do not look at weights
RCOND = 1e-10  # smaller pivots, relative to the largest, count as zero (constant pixels)
DIGITS_REPEAT = 4  # each pixel of the embedded digits is repeated 4 x 4 times in 3 channels
PANELS = {
    "train_residual": "Train residual (%)",
    "test_accuracy": "Test accuracy (%)",
}


@dataclass(frozen=True)
class Regression:
    """Centred features and one-hot labels; the training data is reduced by (X, Y) = QR.

    The fit stays the same, as |Y - X B| = |R_Y - R_X B|, but uses r = min(N, n + classes) rows
    instead of N.
    """

    features: torch.Tensor  # (r, n) R_X
    targets: torch.Tensor  # (r, classes) R_Y
    test_features: torch.Tensor  # (N_test, n), minus the mean of the training features
    test_labels: torch.Tensor  # (N_test,)
    label_means: torch.Tensor  # (classes,) of the training labels


@dataclass(frozen=True)
class LinearModels(TheoryStudy):
    """Residual and accuracy of compressed linear models."""

    name: ClassVar[str] = "linear_models"
    question: ClassVar[str] = "How much does a linear model lose to pruning, how much to sharing?"

    datasets: tuple[str, ...]
    methods: tuple[str, ...]
    compressions: tuple[float, ...]
    seeds: tuple[int, ...]
    num_train: int
    num_test: int

    def __post_init__(self) -> None:
        checks.each("datasets", self.datasets, lambda key, v: checks.choice(key, v, DATASETS))
        checks.each("methods", self.methods, lambda key, v: checks.choice(key, v, METHODS))
        checks.each("compressions", self.compressions, lambda _, c: checks.compression_ratio(c))
        checks.each("seeds", self.seeds, lambda key, value: checks.whole_number(key, value, 0))
        checks.whole_number("num_train", self.num_train, 2)
        checks.whole_number("num_test", self.num_test, 1)

    def measure(self, folder: Path) -> pd.DataFrame:
        """A row per dataset, method, compression and seed.

        `train_residual` and `test_residual` are in percent of the squared centred one-hot labels;
        `excess_residual` = train residual / train residual of all features - 1; `test_accuracy` is
        in percent; `full_...` are the values of all features. There is no row for a compression
        that leaves nothing.
        """
        regressions = [self._load(name) for name in self.datasets]  # missing files fail early
        rows = []
        for name, regression in zip(self.datasets, regressions, strict=True):
            full = fit(regression, None)
            for method in self.methods:
                for compression in self.compressions:
                    for seed in self.seeds:
                        weight_map = _draw_map(method, regression, compression, seed)
                        if weight_map is None:
                            continue
                        own = fit(regression, weight_map)
                        rows.append(
                            {
                                "dataset": name,
                                "method": method,
                                "compression": compression,
                                "seed": seed,
                                "num_features": weight_map.num_weights,
                                "num_stored": weight_map.num_stored,
                                **own,
                                "excess_residual": own["train_residual"] / full["train_residual"]
                                - 1,
                                "full_train_residual": full["train_residual"],
                                "full_test_accuracy": full["test_accuracy"],
                            }
                        )
        return pd.DataFrame(rows)

    def _load(self, name: str) -> Regression:
        try:
            dataset = load_dataset(name)
        except UserError as error:
            others = ",".join(other for other in self.datasets if other != name) or "digits"
            raise UserError(f"{error}. Or leave {name} out: datasets=[{others}]") from error
        train = _take(dataset.train, self.num_train, "train")
        test = _take(dataset.test, self.num_test, "test")
        return build_regression(
            flatten_images(train.images, name),
            train.labels,
            flatten_images(test.images, name),
            test.labels,
        )

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: a column per dataset, train residual above, test accuracy below."""
        names = list(dict.fromkeys(table["dataset"]))
        page = Page(
            CELL_WIDTH,
            [CELL_HEIGHT] * len(PANELS),
            [
                "Least squares on compressed pixels; residual in % of the centred labels' squares. "
                "Means over seeds, bands from lowest to highest; dotted: all features.",
                *small_print,
            ],
            num_columns=len(names),
            title="Linear models of m = n / c numbers",
            margins=Margins(left=0.6),
        )
        columns = []
        for place, name in enumerate(names):
            own = table[table["dataset"] == name]
            for row, (column, title) in enumerate(PANELS.items()):
                axes, right = page.add_axes(row, place)
                axes.set_title(f"{DATASET_TITLES[name]} ({own['num_features'].iloc[0]} features)")
                axes.set_ylabel(title)
                axes.axhline(own[f"full_{column}"].iloc[0], color="#222222", ls=":", lw=0.8)
                columns.append(LabelColumn(axes, draw_means(axes, own, column), right))
        draw_labels(columns, SMALL_STYLE)
        return page.figure


def build_regression(
    features: torch.Tensor,
    labels: torch.Tensor,
    test_features: torch.Tensor,
    test_labels: torch.Tensor,
) -> Regression:
    """Centre features (N, n) float64 by the training means, one-hot the labels, reduce by QR."""
    num_classes = int(torch.cat((labels, test_labels)).max()) + 1
    one_hot = nn.functional.one_hot(labels, num_classes).double()  # (N, classes)
    label_means, means = one_hot.mean(0), features.mean(0)
    both = torch.cat((features - means, one_hot - label_means), dim=1)
    # R of (X, Y) holds R_X and R_Y side by side; Q is never needed.
    reduced = torch.linalg.qr(both, mode="r").R
    return Regression(
        features=reduced[:, : features.shape[1]],
        targets=reduced[:, features.shape[1] :],
        test_features=test_features - means,
        test_labels=test_labels,
        label_means=label_means,
    )


def fit(regression: Regression, weight_map: WeightMap | None) -> dict[str, float]:
    """Residuals and accuracy in percent of least squares over theta; over all weights for None."""
    columns, test = regression.features, regression.test_features
    if weight_map is not None:
        columns, test = compress_rows(weight_map, columns), compress_rows(weight_map, test)
    # A'x are the features that theta sees, so the fit is an ordinary one on compressed features.
    solution = torch.linalg.lstsq(
        columns.contiguous(), regression.targets, rcond=RCOND, driver="gelsy"
    ).solution  # (m, classes)
    # On the reduced rows the squared residuals are those of all training images.
    residual = (regression.targets - columns @ solution).square().sum()
    scores = test @ solution + regression.label_means
    wanted = nn.functional.one_hot(regression.test_labels, len(regression.label_means)).double()
    test_total = (wanted - regression.label_means).square().sum().item()
    return {
        "train_residual": 100 * (residual / regression.targets.square().sum()).item(),
        "test_residual": 100 * (wanted - scores).square().sum().item() / test_total,
        "test_accuracy": 100 * (scores.argmax(1) == regression.test_labels).double().mean().item(),
    }


def _draw_map(
    method: str, regression: Regression, compression: float, seed: int
) -> WeightMap | None:
    """The method's map for the n weights of one output, None if it stores none."""
    layer = nn.Linear(regression.features.shape[1], 1, bias=False)
    no_probe = (torch.empty(0), torch.empty(0))  # these methods do not look at it
    try:
        return build_method(method, compression, seed).compress(layer, no_probe).weight_map
    except UserError:
        return None


def _take(split: Split, num_images: int, name: str) -> Split:
    """At most `num_images` images, a fixed random choice."""
    rows = torch.randperm(len(split), generator=named_generator(0, "linear_models", name))
    return Split(split.images[rows[:num_images]], split.labels[rows[:num_images]])


def flatten_images(images: torch.Tensor, dataset: str) -> torch.Tensor:
    """Images as (N, n) float64 in [0, 1]; for the digits only the 8 x 8 original pixels."""
    if dataset == "digits":
        images = images[:, :1, ::DIGITS_REPEAT, ::DIGITS_REPEAT]
    return images.flatten(1).double() / 255


def draw_means(axes: Axes, own: pd.DataFrame, column: str) -> list[CurveLabel]:
    """Draw means over seeds with a band from the lowest to the highest; return the labels."""
    labels = []
    for method, points in own.groupby("method", sort=False):
        style = registered_style(str(method))
        spread = points.groupby("compression")[column].agg(["mean", "min", "max"])
        axes.fill_between(
            spread.index, spread["min"], spread["max"], color=style.colour, alpha=0.12, lw=0
        )
        axes.plot(
            spread.index, spread["mean"],
            color=style.colour, marker=style.marker, linestyle=style.line,
        )  # fmt: skip
        labels.append(
            CurveLabel(str(method), style.colour, spread.index[-1], spread["mean"].iloc[-1])
        )
    set_x_axis(axes, own["compression"], COMPRESSION)
    return labels

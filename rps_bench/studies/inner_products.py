"""Inner products and norms after n numbers are compressed to m: pruning against sharing.

Desai and Shrivastava 2024 (arXiv 2310.11611) prove that sharing has the lower variance on average
over data. For a single pair of vectors either may be better. Both are shown here: the closed forms
(`variances`), and estimates with many random draws of the project's own maps.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.seeds import derive_key, named_generator
from rps_bench.core.shown import show
from rps_bench.methods.pruning.topk import keep_highest
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.weight_map import SelectionMap, WeightMap
from rps_bench.reports.figures.axes import COMPRESSION, set_x_axis
from rps_bench.reports.figures.labels import SMALL_STYLE, CurveLabel, LabelColumn, draw_labels
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.styles import DOTTED, MethodStyle
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.looks import registered_style
from rps_bench.studies.sketches import compress_rows
from rps_bench.studies.variances import VARIANCES, estimate_variance

CELL_WIDTH, CELL_HEIGHT = 3.9, 2.3  # inches
QUANTITIES = {"inner_product": "inner product <x, y>", "norm": "squared norm <x, x>"}
NUM_BLOCKS = 8


def _draw_gaussian(size: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(size, generator=generator, dtype=torch.float64)


def _draw_signs(size: int, generator: torch.Generator) -> torch.Tensor:
    return 1.0 - 2.0 * torch.randint(2, (size,), generator=generator).double()


def _draw_power_law(size: int, generator: torch.Generator) -> torch.Tensor:
    """Zipf's law: magnitudes 1, 1/2, 1/3, ... in random order, with random signs."""
    ranks = 1.0 + torch.randperm(size, generator=generator).double()
    return _draw_signs(size, generator) / ranks


def _draw_blocks(size: int, generator: torch.Generator) -> torch.Tensor:
    """Gaussian numbers in blocks, each half as large as the one before: layers of unequal scale."""
    blocks = torch.arange(size) * NUM_BLOCKS // size
    return _draw_gaussian(size, generator) * 0.5**blocks


DATA: dict[str, tuple[str, Callable[[int, torch.Generator], torch.Tensor]]] = {
    "gaussian": ("Gaussian", _draw_gaussian),
    "signs": ("+1 and -1", _draw_signs),
    "power_law": ("Power law", _draw_power_law),
    "blocks": ("Blocks of unequal scale", _draw_blocks),
}


def _flip_coins(size: int, num_stored: int, seed: int) -> WeightMap:
    draws = torch.rand(size, generator=named_generator(seed, "coins"), dtype=torch.float64)
    return SelectionMap(size, (draws < num_stored / size).nonzero().view(-1))


def _keep_fixed_size(size: int, num_stored: int, seed: int) -> WeightMap:
    draws = torch.rand(size, generator=named_generator(seed, "scores"), dtype=torch.float64)
    return SelectionMap(size, keep_highest(draws, num_stored))


def _hash(size: int, num_stored: int, seed: int) -> WeightMap:
    return HashedMap((("vector", (size,)),), (1.0,), num_stored, seed)


def _fold(size: int, num_stored: int, seed: int) -> WeightMap:
    return RandomFoldMap((("vector", (size,)),), (1.0,), num_stored, seed)


# The function that draws a map, whether estimates are multiplied by n/m, label and style.
METHODS: dict[str, tuple[Callable[[int, int, int], WeightMap], bool, str, MethodStyle]] = {
    "hashing": (_hash, False, "hashing", registered_style("hashednet")),
    "randomfold": (_fold, False, "RANDOMFOLD", registered_style("stable_rps")),
    "coin_flips": (
        _flip_coins, True, "pruning, a coin each", MethodStyle("#CC79A7", "^", DOTTED),
    ),
    "fixed_size": (_keep_fixed_size, True, "pruning, m of n", registered_style("rand")),
}  # fmt: skip


@dataclass(frozen=True)
class InnerProducts(TheoryStudy):
    """Variance of estimated inner products and norms."""

    name: ClassVar[str] = "inner_products"
    question: ClassVar[str] = "Which keeps inner products and norms better, pruning or sharing?"

    data: tuple[str, ...]
    compressions: tuple[float, ...]
    num_weights: int
    num_draws: int
    num_data_draws: int
    seed: int

    def __post_init__(self) -> None:
        checks.each("data", self.data, lambda key, value: checks.choice(key, value, DATA))
        checks.each("compressions", self.compressions, lambda _, c: checks.compression_ratio(c))
        checks.whole_number("num_weights", self.num_weights, NUM_BLOCKS)
        checks.whole_number("num_draws", self.num_draws, 4)
        checks.whole_number("num_data_draws", self.num_data_draws, 1)
        checks.whole_number("seed", self.seed, 0)
        if max(self.compressions) > self.num_weights:
            raise UserError(
                f"compressions must be at most num_weights = {self.num_weights}, "
                f"got {show(max(self.compressions))}"
            )

    def measure(self, folder: Path) -> pd.DataFrame:
        """A row per kind of data, quantity, method and compression.

        For one pair x, y per kind of data: `exact` is the number to estimate, `variance` the closed
        form, `variance_monte_carlo` the variance over `num_draws` maps with its
        `variance_std_error`, `mean_monte_carlo` the mean over them, `norm_product` = |x| |y|, and
        `relative_variance` = `variance` / `norm_product`^2. From closed forms of `num_data_draws`
        other pairs: `mean_relative_variance`, and `worse_than_randomfold`, the share of pairs for
        which the method's variance is above that of RANDOMFOLD. For the power law the mean is
        dominated by the rare pairs whose largest entries coincide.
        """
        pairs = {kind: self._draw_pair(kind, "shown") for kind in self.data}
        tables = []
        for compression in self.compressions:
            averages = self._average_over_data(math.floor(self.num_weights / compression))
            for method in METHODS:
                for row in self._measure_method(method, compression, pairs):
                    tables.append(row | averages[row["data"], row["quantity"], method])
        return pd.DataFrame(tables)

    def _draw_pair(self, kind: str, *names: str | int) -> torch.Tensor:
        """A pair x and y of one kind of data, (2, n)."""
        generator = named_generator(self.seed, kind, *names)
        return torch.stack([DATA[kind][1](self.num_weights, generator) for _ in range(2)])

    def _measure_method(
        self, method: str, compression: float, pairs: dict[str, torch.Tensor]
    ) -> list[dict[str, Any]]:
        # All pairs are compressed by the same maps; the norm is the inner product of x with itself.
        num_stored = math.floor(self.num_weights / compression)
        estimates = self._draw_estimates(method, num_stored, torch.stack(list(pairs.values())))
        rows = []
        for place, (kind, (x, y)) in enumerate(pairs.items()):
            for column, (quantity, other) in enumerate(zip(QUANTITIES, (y, x), strict=True)):
                draws = estimates[:, place, column]
                variance, std_error = estimate_variance(draws)
                exact = VARIANCES[method](x, other, num_stored)
                norms = x.norm().item() * other.norm().item()
                rows.append(
                    {
                        "data": kind,
                        "quantity": quantity,
                        "method": method,
                        "compression": compression,
                        "num_weights": self.num_weights,
                        "num_stored": num_stored,
                        "exact": torch.dot(x, other).item(),
                        "mean_monte_carlo": draws.mean().item(),
                        "variance": exact,
                        "variance_monte_carlo": variance,
                        "variance_std_error": std_error,
                        "norm_product": norms,
                        "relative_variance": exact / norms**2,
                    }
                )
        return rows

    def _draw_estimates(self, method: str, num_stored: int, pairs: torch.Tensor) -> torch.Tensor:
        """Estimates (num_draws, D, 2) of <x, y> and <x, x> for D pairs (D, 2, n), a map each."""
        draw_map, is_rescaled, _, _ = METHODS[method]
        factor = self.num_weights / num_stored if is_rescaled else 1.0
        estimates = []
        for draw in range(self.num_draws):
            seed = derive_key(self.seed, "inner_products", num_stored, draw)
            # One map per draw compresses all pairs.
            weight_map = draw_map(self.num_weights, num_stored, seed)
            sketches = compress_rows(weight_map, pairs.flatten(0, 1)).reshape(len(pairs), 2, -1)
            x, y = sketches.unbind(1)  # (D, m) each
            estimates.append(torch.stack([(x * y).sum(1), x.square().sum(1)], dim=1))
        return factor * torch.stack(estimates)

    def _average_over_data(self, num_stored: int) -> dict[tuple[str, str, str], dict[str, float]]:
        """The two averages over redrawn data, by (data, quantity, method)."""
        averages = {}
        for kind in self.data:
            pairs = [self._draw_pair(kind, draw) for draw in range(self.num_data_draws)]
            for quantity in QUANTITIES:
                vectors = [(x, y if quantity == "inner_product" else x) for x, y in pairs]
                norms = torch.stack([x.norm() * y.norm() for x, y in vectors])
                found = {
                    method: torch.tensor(
                        [form(x, y, num_stored) for x, y in vectors], dtype=torch.float64
                    )
                    / norms.square()
                    for method, form in VARIANCES.items()
                }
                margin = 1e-9 * found["hashing"]  # equal but for rounding is not worse
                for method, values in found.items():
                    is_worse = values > found["randomfold"] + margin
                    averages[kind, quantity, method] = {
                        "mean_relative_variance": values.mean().item(),
                        "worse_than_randomfold": is_worse.double().mean().item(),
                    }
        return averages

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: data by quantity; lines are closed forms, points Monte Carlo estimates."""
        kinds = list(dict.fromkeys(table["data"]))
        page = Page(
            CELL_WIDTH,
            [CELL_HEIGHT] * len(kinds),
            [
                "Lines: closed forms; points: standard deviation over random maps. Who wins depends"
                " on the data: what holds on average over data is no law for one pair of vectors.",
                *small_print,
            ],
            num_columns=len(QUANTITIES),
            title="Inner products and norms estimated from m = n / c numbers",
            margins=Margins(left=0.7),
        )
        columns = []
        for row, kind in enumerate(kinds):
            for place, (quantity, words) in enumerate(QUANTITIES.items()):
                axes, right = page.add_axes(row, place)
                axes.set_title(f"{DATA[kind][0]}: {words}", fontsize=8.5)
                axes.set_ylabel("Standard error / (|x| |y|)")
                own = table[(table["data"] == kind) & (table["quantity"] == quantity)]
                columns.append(LabelColumn(axes, _draw_cell(axes, own), right))
        draw_labels(columns, SMALL_STYLE)
        return page.figure


def _draw_cell(axes: Axes, own: pd.DataFrame) -> list[CurveLabel]:
    """Draw the relative standard errors of each method, including zeros; return the labels."""
    own = own.assign(
        line=own["variance"].pow(0.5) / own["norm_product"],
        points=own["variance_monte_carlo"].pow(0.5) / own["norm_product"],
    )
    labels = []
    for method, (_, _, title, style) in METHODS.items():
        curve = own[own["method"] == method]
        axes.plot(curve["compression"], curve["line"], color=style.colour, linestyle=style.line)
        axes.plot(
            curve["compression"], curve["points"],
            color=style.colour, marker=style.marker, linestyle="none", markerfacecolor="none",
        )  # fmt: skip
        last = curve.iloc[-1]
        labels.append(CurveLabel(title, style.colour, last["compression"], last["line"]))
    # Below the smallest positive value the axis is linear, down to zero.
    linear = 10 ** math.floor(math.log10(own["line"].where(own["line"] > 0).min()))
    axes.set_yscale("symlog", linthresh=linear, linscale=0.5)  # a log axis would omit zeros
    axes.set_ylim(-0.3 * linear, 1.5 * own["line"].max())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    set_x_axis(axes, own["compression"], COMPRESSION._replace(title="Compression n / m"))
    return labels

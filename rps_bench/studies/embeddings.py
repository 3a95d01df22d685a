"""The effect of compression on a table of embeddings: rows that carry no information.

If a table of N rows of d numbers is pruned by a factor above d, fewer numbers than rows are left,
so some rows are all zero; a shared table has none (Desai and Shrivastava 2024, arXiv 2310.11611, on
what pruning cannot represent). The tables here are random and not trained: only the linear model on
top of them is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.datasets import load_dataset
from rps_bench.datasets.base import Split
from rps_bench.methods import METHODS, build_method, default_options
from rps_bench.models.initialisation import initialise_kaiming
from rps_bench.reports.figures.labels import SMALL_STYLE, LabelColumn, draw_labels
from rps_bench.reports.figures.layout import Page
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.linear_models import build_regression, draw_means, fit, flatten_images
from rps_bench.studies.rows import describe_rows, expect_zero_rows

CELL_WIDTH, CELL_HEIGHT = 3.9, 2.5  # inches
BARE = ("rand", "mag", "stable_rps", "rpg", "hashednet", "roast")  # use no probe or network
NUM_LEVELS = 17  # grey levels of a pixel of the digits
PANELS = {
    "zero_rows": "Rows that are all zero (%)",
    "parallel_rows": "Other rows parallel to another (%)",
    "rank": "Rank of the table",
    "test_accuracy": "Test accuracy (%)",
}


class Documents(NamedTuple):
    """Images as bags of tokens: one token per pixel and grey level."""

    counts: torch.Tensor  # (images, N) float64, occurrences of each token
    labels: torch.Tensor  # (images,)


@dataclass(frozen=True)
class Embeddings(TheoryStudy):
    """Zero, equal and parallel rows, rank, and the accuracy of a linear model on the embeddings."""

    name: ClassVar[str] = "embeddings"
    question: ClassVar[str] = "What do pruning and sharing leave of a table of embeddings?"

    methods: tuple[str, ...]
    compressions: tuple[float, ...]
    width: int
    tile: int
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        checks.each("methods", self.methods, lambda key, value: checks.choice(key, value, BARE))
        checks.each("compressions", self.compressions, lambda _, c: checks.compression_ratio(c))
        checks.whole_number("width", self.width, 1)
        checks.whole_number("tile", self.tile, 1)
        checks.each("seeds", self.seeds, lambda key, value: checks.whole_number(key, value, 0))

    def measure(self, folder: Path) -> pd.DataFrame:
        """A row per method, compression and seed.

        The columns of `rows.describe_rows`, the share of `zero_rows` expected by chance, and
        `test_accuracy` in percent of least squares on the sum of the embeddings of an image's
        tokens. There is no row for a compression that leaves too little for a method.
        """
        dataset = load_dataset("digits")
        train, test = (count_tokens(split) for split in (dataset.train, dataset.test))
        rows = []
        for method in self.methods:
            for compression in self.compressions:
                for seed in self.seeds:
                    try:
                        own = self._measure_one(method, compression, seed, train, test)
                    except UserError:  # nothing is left, or a tile is larger than the repository
                        continue
                    names = {"method": method, "compression": compression, "seed": seed}
                    rows.append(names | own)
        return pd.DataFrame(rows)

    def _measure_one(
        self, method: str, compression: float, seed: int, train: Documents, test: Documents
    ) -> dict[str, Any]:
        num_tokens = train.counts.shape[1]
        table, num_stored = self._draw_table(method, compression, seed, num_tokens)
        # An image's features are the sum of the embeddings of its tokens.
        regression = build_regression(
            train.counts @ table, train.labels, test.counts @ table, test.labels
        )
        is_pruned = METHODS[method].kind == "pruning"
        expected = expect_zero_rows(num_tokens, self.width, num_stored) if is_pruned else 0.0
        return {
            "num_rows": num_tokens,
            "num_stored": num_stored,
            "expected_zero_rows": expected,
            **describe_rows(table),
            "test_accuracy": fit(regression, None)["test_accuracy"],
        }

    def _draw_table(
        self, method: str, compression: float, seed: int, num_tokens: int
    ) -> tuple[torch.Tensor, int]:
        """A compressed random table (N, d) float64, and the number of values it stores."""
        layer = nn.Linear(self.width, num_tokens, bias=False)  # weight (N, d)
        initialise_kaiming(layer, named_generator(seed, "embeddings"))
        options = {"tile": self.tile} if "tile" in default_options(method) else {}
        no_probe = (torch.empty(0), torch.empty(0))
        compressed = build_method(method, compression, seed, **options).compress(layer, no_probe)
        table = compressed.weights().detach().view(num_tokens, self.width).double()
        return table, compressed.stored.numel()

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: zero rows, parallel rows, rank, accuracy; right of the line c is above d."""
        num_rows = table["num_rows"].iloc[0]
        page = Page(
            CELL_WIDTH,
            [CELL_HEIGHT] * 2,
            [
                "Means over seeds, bands from lowest to highest; upright line: compression = d; "
                "small dots: zero rows that chance expects.",
                *small_print,
            ],
            num_columns=2,
            title=f"What is left of a table of {num_rows} embeddings of {self.width} numbers",
        )
        columns = []
        for place, (column, title) in enumerate(PANELS.items()):
            axes, right = page.add_axes(*divmod(place, 2))
            axes.set_title(title, fontsize=8.5)
            axes.axvline(self.width, color="#999999", lw=0.7)
            if column == "zero_rows":
                pruned = table[table["expected_zero_rows"] > 0]
                axes.plot(pruned["compression"], pruned["expected_zero_rows"], "k.", ms=2, zorder=3)
            columns.append(LabelColumn(axes, draw_means(axes, table, column), right))
        draw_labels(columns, SMALL_STYLE)
        return page.figure


def count_tokens(split: Split) -> Documents:
    """The digits as bags of 64 tokens, each 17 * pixel + grey level."""
    levels = (16 * flatten_images(split.images, "digits")).round().long()  # (images, 64) 0..16
    num_pixels = levels.shape[1]
    tokens = NUM_LEVELS * torch.arange(num_pixels) + levels
    counts = torch.zeros(len(split), num_pixels * NUM_LEVELS, dtype=torch.float64)
    return Documents(counts.scatter_(1, tokens, 1.0), split.labels)

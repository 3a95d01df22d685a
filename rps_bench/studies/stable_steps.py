"""The largest stable step of gradient descent through a sharing map, relative to the dense one.

Desai and Shrivastava 2024, section 5. The dense step of a quadratic loss is 2 / L, where L is its
largest curvature; the one through w = A theta is 2 / lambda_max(S^-1/2 A'HA S^-1/2). With s = gram,
A S^-1 A' is an orthogonal projector, so the ratio of the two is never below 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.methods import build_method, default_options
from rps_bench.methods.layout import init_stds_of, layout_of
from rps_bench.methods.scaling import SCALINGS
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.reports.figures.axes import COMPRESSION, Abscissa, set_x_axis
from rps_bench.reports.figures.labels import SMALL_STYLE, CurveLabel, LabelColumn, draw_labels
from rps_bench.reports.figures.layout import QUIET, Margins, Page
from rps_bench.reports.words import format_ratio
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.curvature import CURVATURES, scaled_matrix
from rps_bench.studies.load import SHARING

CELL_WIDTH, CELL_HEIGHT = 3.6, 2.2  # inches
UNSTABLE_COLOUR = "#F7E3DC"
COLOURS = {
    "none": "#D55E00",
    "gram": "#0072B2",
    "squared_mean": "#009E73",
    "sum": "#CC79A7",
    "mean": "#882255",
    "root_gram": "#999933",
}  # by scaling
INIT_STD = Abscissa("init_std", None, "", "Init std of the repository", "{:g}".format)


class View(NamedTuple):
    """A column of the figure: rows of the table, and the column of theirs on x."""

    title: str
    rows: pd.DataFrame
    abscissa: Abscissa


@dataclass(frozen=True)
class StableSteps(TheoryStudy):
    """The ratio of the largest stable steps, by map, scaling, init std and compression."""

    name: ClassVar[str] = "stable_steps"
    question: ClassVar[str] = "How large may a step through a sharing map be, beside the dense one?"

    arch: str
    width: int
    tile: int
    methods: tuple[str, ...]
    scalings: tuple[str, ...]
    init_stds: tuple[float, ...]
    compressions: tuple[float, ...]
    curvatures: tuple[str, ...]
    decay: float
    drawn_init_std: float
    drawn_compression: float
    seed: int

    def __post_init__(self) -> None:
        checks.choice("arch", self.arch, ARCHITECTURES)
        checks.whole_number("width", self.width, 1)
        checks.whole_number("tile", self.tile, 1)
        checks.each("methods", self.methods, lambda key, value: checks.choice(key, value, SHARING))
        checks.each("scalings", self.scalings, lambda key, v: checks.choice(key, v, SCALINGS))
        checks.each("init_stds", self.init_stds, checks.positive_number)
        checks.each("compressions", self.compressions, lambda _, c: checks.compression_ratio(c))
        checks.each("curvatures", self.curvatures, lambda key, v: checks.choice(key, v, CURVATURES))
        checks.number("decay", self.decay, "a number >= 0", lambda decay: decay >= 0)
        _check_drawn("drawn_init_std", self.drawn_init_std, "init_stds", self.init_stds)
        _check_drawn("drawn_compression", self.drawn_compression, "compressions", self.compressions)
        checks.whole_number("seed", self.seed, 0)

    def measure(self, folder: Path) -> pd.DataFrame:
        """A row per map, compression, init std, scaling and curvature; with the `ratio`.

        For isotropic curvature it is the closed form min_j s_j / gram_j over the used slots, for
        the other one an eigenvalue in float64, to ten digits.
        """
        rows = []
        for method in self.methods:
            for compression in self.compressions:
                for init_std in self.init_stds:
                    try:
                        weight_map = self.build_map(method, compression, init_std)
                    except UserError:  # a tile that is larger than the repository
                        continue
                    keys = {"method": method, "compression": compression, "init_std": init_std}
                    rows += [keys | row for row in self._measure_map(weight_map)]
        return pd.DataFrame(rows)

    def build_map(self, method: str, compression: float, init_std: float) -> SharingMap:
        """The method's map for the layers of the network, in float64."""
        model = build_model(self.arch, 10, self.width, torch.Generator().manual_seed(0))
        options: dict[str, Any] = {"init_std": init_std}
        if "tile" in default_options(method):
            options["tile"] = self.tile
        built = build_method(method, compression, self.seed, **options)
        assert isinstance(built, SharingMethod)
        scales = tuple(std / init_std for std in init_stds_of(model))
        return built.build_map(layout_of(model), scales).to(torch.float64)

    def _measure_map(self, weight_map: SharingMap) -> list[dict[str, Any]]:
        sizes = {"num_weights": weight_map.num_weights, "num_stored": weight_map.num_stored}
        rows = []
        for scaling in self.scalings:
            scaled = scaled_matrix(weight_map, scaling)
            for curvature in self.curvatures:
                # H has the largest eigenvalue 1: the dense step is 2, so the ratio is 1 /
                # lambda_max.
                largest = CURVATURES[curvature](scaled, self.decay, self.seed)
                names = {"scaling": scaling, "curvature": curvature}
                rows.append(sizes | names | {"ratio": 1 / largest})
        return rows

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: ratio by init std (left) and by compression; a row per map."""
        methods = list(dict.fromkeys(table["method"]))
        views = self._views(table)
        page = Page(
            CELL_WIDTH,
            [CELL_HEIGHT] * len(methods),
            small_print,
            num_columns=len(views),
            title="Largest stable step through the map / largest stable step of the dense model",
            y_title="Ratio of the steps",
            margins=Margins(left=0.6),
        )
        columns = []
        for row, method in enumerate(methods):
            for column, view in enumerate(views):
                axes, right = page.add_axes(row, column)
                axes.set_title(f"{method}, {view.title}", fontsize=8.5)
                labels = _draw_cell(axes, view.rows[view.rows["method"] == method], view)
                columns.append(LabelColumn(axes, labels, right))
        draw_labels(columns, SMALL_STYLE)
        return page.figure

    def _views(self, table: pd.DataFrame) -> list[View]:
        """The views: by init std for the first curvature, by compression for each curvature."""
        compression, init_std = self.drawn_compression, self.drawn_init_std
        first = table[table["curvature"] == self.curvatures[0]]
        at_one = first[first["compression"] == compression]
        views = [View(f"{self.curvatures[0]}, {format_ratio(compression)}", at_one, INIT_STD)]
        for curvature in self.curvatures:
            rows = table[(table["curvature"] == curvature) & (table["init_std"] == init_std)]
            views.append(View(f"{curvature}, init std {init_std:g}", rows, COMPRESSION))
        return views


def _draw_cell(axes: Axes, own: pd.DataFrame, view: View) -> list[CurveLabel]:
    """Draw a curve per scaling, and the unstable region shaded; return the labels."""
    x = view.abscissa.column
    labels = []
    for scaling, points in own.groupby("scaling", sort=False):
        colour, last = COLOURS[str(scaling)], points.iloc[-1]
        axes.plot(points[x], points["ratio"], color=colour, marker="o", markersize=3)
        labels.append(CurveLabel(str(scaling), colour, last[x], last["ratio"]))
    low, high = view.rows["ratio"].min() / 8, view.rows["ratio"].max() * 3
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.axhspan(low, 1, color=UNSTABLE_COLOUR, linewidth=0, zorder=0)
    word = "unstable at the dense model's rates"
    axes.text(0.97, 0.03, word, transform=axes.transAxes, ha="right", fontsize=6, color=QUIET)
    set_x_axis(axes, own[x], view.abscissa)
    return labels


def _check_drawn(key: str, value: float, among: str, values: tuple[float, ...]) -> None:
    checks.number(key, value, f"one of {among}", lambda number: number in values)

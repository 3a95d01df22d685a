"""The load of each sharing map: how many weights read each slot.

Desai and Shrivastava 2024, section 4: RANDOMFOLD has the optimal load, floor(n/m) or ceil(n/m). At
c = 1 it is a bijection, which is why the compressed model can equal the dense one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.methods import build_method, methods_of
from rps_bench.methods.layout import init_stds_of, layout_of
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.reports.figures.axes import COMPRESSION, set_x_axis
from rps_bench.reports.figures.labels import SMALL_STYLE, CurveLabel, LabelColumn, draw_labels
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.styles import ARCH_TITLES
from rps_bench.studies.base import TheoryStudy
from rps_bench.studies.looks import registered_style

CELL_WIDTH, CELL_HEIGHT = 3.9, 2.5  # inches
SHARING = methods_of("sharing")


@dataclass(frozen=True)
class Load(TheoryStudy):
    """The share of used slots and the distribution of their load."""

    name: ClassVar[str] = "load"
    question: ClassVar[str] = "How evenly does each sharing map use its slots?"

    archs: tuple[str, ...]
    methods: tuple[str, ...]
    compressions: tuple[float, ...]
    num_classes: int
    seed: int

    def __post_init__(self) -> None:
        checks.each(
            "archs", self.archs, lambda key, value: checks.choice(key, value, ARCHITECTURES)
        )
        checks.each("methods", self.methods, lambda key, value: checks.choice(key, value, SHARING))
        checks.each("compressions", self.compressions, lambda _, c: checks.compression_ratio(c))
        checks.whole_number("num_classes", self.num_classes, 2)
        checks.whole_number("seed", self.seed, 0)

    def measure(self, folder: Path) -> pd.DataFrame:
        """A row per architecture, method and compression.

        `min_load`, `mean_load`, `max_load` and `std_load` are over the m slots (population std);
        `used` is the share of slots that any weight reads.
        """
        rows = []
        for arch in self.archs:
            model = build_model(arch, self.num_classes, None, torch.Generator().manual_seed(0))
            for method in self.methods:
                for compression in self.compressions:
                    try:
                        rows.append(self._measure_one(arch, model, method, compression))
                    except UserError:  # a tile that is larger than the repository
                        continue
        return pd.DataFrame(rows)

    def _measure_one(
        self, arch: str, model: torch.nn.Module, name: str, compression: float
    ) -> dict[str, Any]:
        layout = layout_of(model)
        method = build_method(name, compression, self.seed)
        assert isinstance(method, SharingMethod)
        scales = tuple(std / method.init_std for std in init_stds_of(model))
        weight_map = method.build_map(layout, scales)
        load = torch.bincount(weight_map.slots(), minlength=weight_map.num_stored).double()
        return {
            "arch": arch,
            "method": name,
            "compression": compression,
            "num_weights": weight_map.num_weights,
            "num_stored": weight_map.num_stored,
            "used": (load > 0).double().mean().item(),
            "min_load": load.min().item(),
            "mean_load": load.mean().item(),
            "max_load": load.max().item(),
            "std_load": load.std(correction=0).item(),
        }

    def draw(self, table: pd.DataFrame, small_print: Sequence[str]) -> Figure:
        """The figure: unused slots above, largest load / mean below; a column per architecture."""
        archs = list(dict.fromkeys(table["arch"]))
        page = Page(
            CELL_WIDTH,
            [CELL_HEIGHT, CELL_HEIGHT],
            small_print,
            num_columns=len(archs),
            title="Load of the slots: how evenly the weights share the stored values",
            margins=Margins(left=0.6),
        )
        columns = []
        for place, arch in enumerate(archs):
            own = table[table["arch"] == arch]
            for row, (values, title) in enumerate(
                (
                    (100 * (1 - own["used"]), "Slots that no weight reads (%)"),
                    (own["max_load"] / own["mean_load"], "Largest load / mean load"),
                )
            ):
                axes, right = page.add_axes(row, place)
                axes.set_ylabel(title)
                axes.set_title(ARCH_TITLES.get(arch, arch))
                columns.append(LabelColumn(axes, _draw_cell(axes, own.assign(y=values)), right))
        draw_labels(columns, SMALL_STYLE)
        return page.figure


def _draw_cell(axes: Axes, own: pd.DataFrame) -> list[CurveLabel]:
    """Draw the column `y` of each method by compression; return the labels."""
    labels = []
    for method, points in own.groupby("method", sort=False):
        style = registered_style(str(method))
        axes.plot(
            points["compression"],
            points["y"],
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
        )
        last = points.iloc[-1]
        labels.append(CurveLabel(str(method), style.colour, last["compression"], last["y"]))
    set_x_axis(axes, own["compression"], COMPRESSION)
    return labels

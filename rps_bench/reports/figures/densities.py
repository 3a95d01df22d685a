"""Layer densities: the fraction of each layer that a method keeps, a heat map per compression."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from rps_bench.records import Record
from rps_bench.reports.figures.labels import wrap_label
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.figures.records import find_records
from rps_bench.reports.figures.small_print import describe_panels
from rps_bench.reports.styles import method_look, method_rank
from rps_bench.reports.words import format_ratio

COLOURS = "viridis"
CELL, LARGEST_CELL = 0.215, 0.45  # inches of a square, and of a wide one if layers are few
GRID_WIDTH = 4.7  # inches that the layers fill if they are few
CHARACTER = 0.062  # inches of a character in a label
COLLAPSED_COLOUR = "#D55E00"
COLLAPSED_NOTE = "cross: a layer without any kept weight (in one seed at least)"
BAR_GAP, BAR_WIDTH, BAR_ROOM = 0.15, 0.12, 0.95  # inches


def find_densities(panel: Panel, records: Sequence[Record]) -> pd.DataFrame:
    """One row per compression, curve and layer: mean `density` over seeds, `has_collapsed`.

    Layers are in network order. Curves that keep all layers whole have nothing to show and are left
    out: dense, parameter sharing, pruning at 1x.
    """
    rows = [
        (run.compression, run.method, run.label, layer, density)
        for run in find_records(panel, records)
        for layer, density in (run.record.get("method_report") or {})
        .get("layer_densities", {})
        .items()
    ]
    table = pd.DataFrame(rows, columns=["compression", "method", "label", "layer", "density"])
    curve = ["compression", "method", "label"]
    thinned = table.groupby(curve)["density"].transform("min") < 1
    means = table[thinned].groupby([*curve, "layer"], sort=False)["density"]
    return means.agg(
        density="mean", has_collapsed=lambda kept: bool((kept == 0).any())
    ).reset_index()


def draw_densities(panel: Panel, densities: pd.DataFrame) -> Figure:
    """The heat maps of a panel, one per compression; needs `figure_style` in force."""
    layers = list(dict.fromkeys(densities["layer"]))
    maps = [
        (float(str(compression)), own, _order_curves(own))
        for compression, own in densities.groupby("compression")
    ]
    notes = [COLLAPSED_NOTE] if densities["has_collapsed"].any() else []
    small_print = describe_panels([panel], notes, spread="mean")
    page = _lay_out(f"{panel.title}: layer densities", small_print, layers, [m[2] for m in maps])
    norm = _scale(densities["density"])
    for row, (compression, own, curves) in enumerate(maps):
        axes, _ = page.add_axes(row)
        _draw_map(axes, own, curves, layers, norm)
        axes.set_title(format_ratio(compression), fontsize=8.5)
        _name_layers(axes, layers if row == len(maps) - 1 else [])
        if row == 0:
            _draw_colour_bar(page.figure, axes, ScalarMappable(norm, COLOURS))
    return page.figure


def _lay_out(
    title: str,
    small_print: Sequence[str],
    layers: Sequence[str],
    maps: Sequence[Sequence[tuple[str, str]]],
) -> Page:
    """A page with a row per map, and one more row for the names of the layers."""
    names = [wrap_label(label).split("\n") for curves in maps for _, label in curves]
    cell = CELL * max(1.0, 0.62 * max(len(lines) for lines in names))
    width = min(max(CELL, GRID_WIDTH / len(layers)), LARGEST_CELL) * len(layers)
    longest = max(len(line) for lines in names for line in lines)
    margins = Margins(left=0.15 + CHARACTER * longest, right=BAR_ROOM, bottom=0.1, top=0.26)
    foot = 0.8 * CHARACTER * max(len(_shorten(layer)) for layer in layers) + 0.08
    heights = [cell * len(curves) + margins.bottom + margins.top for curves in maps]
    return Page(
        margins.left + width + margins.right,
        [*heights, foot],
        small_print,
        title=title,
        margins=margins,
    )


def _order_curves(own: pd.DataFrame) -> list[tuple[str, str]]:
    curves = own[["method", "label"]].drop_duplicates().itertuples(index=False, name=None)
    return sorted(curves, key=lambda key: (method_rank(key[0]), key))


def _draw_map(
    axes: Axes,
    own: pd.DataFrame,
    curves: Sequence[tuple[str, str]],
    layers: Sequence[str],
    norm: LogNorm,
) -> None:
    """Draw a map of curves x layers; layers that a curve lacks stay blank."""
    values = own.pivot_table(index="label", columns="layer", values="density")
    values = values.reindex(index=[label for _, label in curves], columns=list(layers))
    shown = np.ma.masked_invalid(values.mask(values == 0).to_numpy())  # (curves, layers)
    axes.pcolormesh(shown, norm=norm, cmap=COLOURS, edgecolors="white", linewidth=0.6)
    columns, rows = list(values.columns), list(values.index)
    for label, layer in own.loc[own["has_collapsed"], ["label", "layer"]].itertuples(index=False):
        place = columns.index(layer) + 0.5, rows.index(label) + 0.5
        axes.plot(
            *place, marker="x", color=COLLAPSED_COLOUR, markersize=5.5, markeredgewidth=1.4,
            label="collapsed",
        )  # fmt: skip
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_yticks(
        [place + 0.5 for place in range(len(curves))],
        [wrap_label(label) for _, label in curves],
        fontsize=6.5,
    )
    for tick, (method, _) in zip(axes.get_yticklabels(), curves, strict=True):
        tick.set_color(method_look(method).colour)


def _name_layers(axes: Axes, layers: Sequence[str]) -> None:
    places = [place + 0.5 for place in range(len(layers))]
    axes.set_xticks(places, [_shorten(layer) for layer in layers], rotation=90, fontsize=6)


def _shorten(layer: str) -> str:
    """A layer's name without the suffix that all names share."""
    return layer.removesuffix(".weight")


def _scale(densities: "pd.Series[float]") -> LogNorm:
    lowest = densities[densities > 0].min()
    return LogNorm(vmin=min(float(lowest), 0.5) if lowest == lowest else 0.5, vmax=1.0)


def _draw_colour_bar(figure: Figure, axes: Axes, colours: ScalarMappable) -> None:
    """Draw the colour scale to the right of the first map, in percent."""
    place = axes.get_position()
    inch = 1 / figure.get_figwidth()
    height = max(place.height, 1.1 / figure.get_figheight())
    bar_axes = figure.add_axes(
        (place.x1 + BAR_GAP * inch, place.y1 - height, BAR_WIDTH * inch, height)
    )
    bar = figure.colorbar(colours, cax=bar_axes)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.tick_params(labelsize=6, length=2)
    bar.ax.grid(visible=False)
    bar.set_label("kept weights (log)", fontsize=6.5)
    bar.outline.set_visible(False)

"""A sheet: one panel per dataset and architecture, accuracy against nominal compression."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from rps_bench.reports.figures.accuracy import draw_curves
from rps_bench.reports.figures.axes import COMPRESSION
from rps_bench.reports.figures.curves import describe_curves, find_curves
from rps_bench.reports.figures.labels import (
    SMALL_STYLE,
    CurveLabel,
    LabelColumn,
    draw_labels,
    labels_height,
)
from rps_bench.reports.figures.layout import QUIET, Margins, Page, num_rows
from rps_bench.reports.figures.panels import Panel, slug
from rps_bench.reports.figures.small_print import count_epochs, describe_panels, num_seeds
from rps_bench.reports.styles import ARCH_TITLES, DATASET_TITLES

CELL_WIDTH, CELL_HEIGHT = 3.6, 2.3  # inches
LINES: dict[Any, Any] = {"lines.linewidth": 1.0, "lines.markersize": 3.6, "errorbar.capsize": 1.0}
MARGINS = Margins(left=0.42, bottom=0.3, top=0.36)
MOST_COLUMNS = 3
LARGEST_EMPTY = 1 / 3  # part of the datasets x architectures grid that may stay empty


def gather_sheets(panels: Sequence[Panel]) -> dict[str, list[Panel]]:
    """The panels of each sheet by the sheet's file name: one per recipe, split and image size.

    Of experiments that differ only in options, the main one is shown.
    """
    sheets: dict[str, list[Panel]] = {}
    for panel in sorted(panels, key=_place):
        if panel.is_main:
            parts = ["sheet", panel.recipe] + ([panel.split] if panel.split != "test" else [])
            parts += [] if panel.image_size is None else [f"{panel.image_size}px"]
            sheets.setdefault(slug("-".join(parts)), []).append(panel)
    return sheets


def draw_sheet(panels: Sequence[Panel]) -> Figure:
    """The sheet of panels that share recipe, split and image size; needs `figure_style` in force.

    Rows are datasets and columns architectures if that fills most of the sheet; otherwise panels
    follow each other line by line. Variants of a method with other options are left out if it has a
    curve with default options.
    """
    everything, panels = panels, [_show_plain(panel) for panel in panels]
    cells, num_columns = place_cells(panels)
    curves = [find_curves(panel.points, COMPRESSION) for panel in panels]
    notes = dict.fromkeys(note for own in curves for note in describe_curves(own, COMPRESSION))
    if any(panel.has_diverged for panel in panels):
        notes["cross: diverged run"] = None
    if any(len(a.points) > len(b.points) for a, b in zip(everything, panels, strict=True)):
        notes["methods with their default options only"] = None
    # All cells are as high as the labels of the fullest one.
    most = max(labels_height([*(c.label for c in own), "chance"], SMALL_STYLE) for own in curves)
    height = max(CELL_HEIGHT, most + MARGINS.top + MARGINS.bottom)
    page = Page(
        CELL_WIDTH,
        [height] * (1 + max(row for row, _ in cells)),
        describe_panels(panels, list(notes)),
        num_columns=num_columns,
        x_title=COMPRESSION.title,
        y_title=f"{panels[0].split.capitalize()} accuracy (%)",
        margins=MARGINS,
    )
    columns = []
    for panel, own, place in zip(panels, curves, cells, strict=True):
        axes, right = page.add_axes(*place)
        with mpl.rc_context(LINES):
            labels = draw_curves(axes, panel, own, COMPRESSION)
        columns.append(LabelColumn(axes, [_shorten(label) for label in labels], right))
        axes.set(xlabel="", ylabel="")
        axes.set_title(panel.title, fontsize=8.5)
    draw_labels(columns, SMALL_STYLE)
    for panel, column in zip(panels, columns, strict=True):
        _write_note(column, _describe_cell(panel))
    return page.figure


def place_cells(panels: Sequence[Panel]) -> tuple[list[tuple[int, int]], int]:
    """The (row, column) of each panel, and the number of columns."""
    datasets = list(dict.fromkeys(panel.dataset for panel in panels))
    archs = sorted({panel.arch for panel in panels}, key=_arch_place)
    num_cells = len(datasets) * len(archs)
    if len(archs) <= MOST_COLUMNS and num_cells - len(panels) <= LARGEST_EMPTY * num_cells:
        # A grid of datasets x architectures, unless too much of it would stay empty.
        cells = [(datasets.index(panel.dataset), archs.index(panel.arch)) for panel in panels]
        if len(archs) > 1 or len(panels) < 3:
            return cells, len(archs)
    num_columns = min(2 if len(panels) <= 6 else MOST_COLUMNS, len(panels))
    flow = [divmod(index, num_columns) for index in range(len(panels))]
    assert num_rows(len(panels), num_columns) == flow[-1][0] + 1
    return flow, num_columns


def _show_plain(panel: Panel) -> Panel:
    """The panel without variants of methods that have a curve with default options."""
    shown = [
        rows["is_plain"] | ~rows.groupby("method")["is_plain"].transform("any")
        for rows in (panel.points, panel.runs)
    ]
    return replace(panel, points=panel.points[shown[0]], runs=panel.runs[shown[1]])


def _shorten(label: CurveLabel) -> CurveLabel:
    """The label of chance without its explanation of crosses, which the small print gives."""
    return label._replace(text="chance") if label.text.startswith("chance") else label


def _write_note(column: LabelColumn, text: str) -> None:
    """Write a note above the labels, level with the title."""
    column.axes.annotate(
        text,
        (column.right, column.axes.get_position().y1),
        xycoords="figure fraction",
        xytext=(-10, 8),
        textcoords="offset points",
        ha="right",
        fontsize=6,
        color=QUIET,
    )


def _describe_cell(panel: Panel) -> str:
    fewest, most = num_seeds([panel])
    n = str(most) if fewest == most else f"{fewest} to {most}"
    return f"{count_epochs([panel])}, n = {n}"


def _place(panel: Panel) -> tuple[int, str, tuple[int, str]]:
    known = list(DATASET_TITLES)
    rank = known.index(panel.dataset) if panel.dataset in known else len(known)
    return rank, panel.dataset, _arch_place(panel.arch)


def _arch_place(arch: str) -> tuple[int, str]:
    known = list(ARCH_TITLES)
    return (known.index(arch) if arch in known else len(known)), arch

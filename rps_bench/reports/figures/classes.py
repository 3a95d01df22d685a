"""Accuracy of the worst class, and of classes with many, medium and few training images.

One cell per measure, against nominal compression. All cells have one y axis, so that what rare
classes lose is seen beside what frequent ones do.
"""

from collections.abc import Sequence
from dataclasses import replace

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from rps_bench.reports.analysis.classes import CLASS_MEASURES, GROUPS, MEASURE_TITLES, WORST
from rps_bench.reports.figures.accuracy import draw_curves
from rps_bench.reports.figures.axes import COMPRESSION
from rps_bench.reports.figures.curves import Curve, describe_curves, find_curves
from rps_bench.reports.figures.labels import SMALL_STYLE, LabelColumn, draw_labels, labels_height
from rps_bench.reports.figures.layout import Margins, Page, num_rows
from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.figures.sheet import LINES
from rps_bench.reports.figures.small_print import describe_panels
from rps_bench.reports.words import format_ratio

CELL_WIDTH, CELL_HEIGHT = 3.9, 2.5  # inches
LONE_WIDTH, LONE_HEIGHT = 6.0, 3.4
MARGINS = Margins(left=0.5, bottom=0.42, top=0.32)
NUM_COLUMNS = 2
WORST_NOTE = (
    "worst class: the lowest accuracy of a class in each run, so below that of any one class"
)
GROUPS_NOTE = "many-, medium- and few-shot: thirds of the classes by their training images"


def find_measures(panel: Panel) -> dict[str, pd.DataFrame]:
    """The points of each class measure that a panel's records tell, as `mean` and `std`.

    Points whose completed runs do not tell it are left out.
    """
    found = {}
    for key in CLASS_MEASURES:
        mean, std = panel.points[f"{key}_mean"], panel.points[f"{key}_std"]
        own = panel.points.assign(mean=mean, std=std)
        if mean.notna().any():
            found[key] = own[mean.notna() | (own["n"] == 0)]
    return found


def draw_classes(panel: Panel, measures: dict[str, pd.DataFrame]) -> Figure:
    """The figure of one panel's ``find_measures``; needs `figure_style` in force."""
    cells = [(key, find_curves(points, COMPRESSION)) for key, points in measures.items()]
    num_columns = min(len(cells), NUM_COLUMNS)
    width, height = (CELL_WIDTH, CELL_HEIGHT) if num_columns > 1 else (LONE_WIDTH, LONE_HEIGHT)
    names = max(([curve.label for curve in curves] for _, curves in cells), key=len)
    needed = labels_height([*names, "chance"], SMALL_STYLE) + MARGINS.top + MARGINS.bottom
    page = Page(
        width,
        [max(height, needed)] * num_rows(len(cells), num_columns),
        describe_panels([panel], [*_describe(cells), *_name_uncounted(panel)]),
        num_columns=num_columns,
        title=f"{panel.title}: accuracy by class",
        margins=MARGINS,
    )
    columns = []
    bounds = pd.concat(measures.values())
    for place, (key, curves) in enumerate(cells):
        axes, right = page.add_axes(*divmod(place, num_columns))
        own = replace(panel, points=measures[key])
        with mpl.rc_context(LINES):
            labels = draw_curves(axes, own, curves, COMPRESSION, within=bounds)
        axes.set_title(MEASURE_TITLES[key].capitalize(), fontsize=8.5)
        columns.append(LabelColumn(axes, labels, right))
    draw_labels(columns, SMALL_STYLE)
    return page.figure


def _describe(cells: Sequence[tuple[str, list[Curve]]]) -> list[str]:
    """What the small print must explain."""
    notes = dict.fromkeys(note for _, own in cells for note in describe_curves(own, COMPRESSION))
    keys = [key for key, _ in cells]
    worst = [WORST_NOTE] if WORST in keys else []
    return [*notes, *worst, *([GROUPS_NOTE] if set(keys) & set(GROUPS) else [])]


def _name_uncounted(panel: Panel) -> list[str]:
    """What is not drawn although it has an accuracy: a method whole, or at some compressions."""
    means = panel.points[panel.points["n"] > 0]
    missing = means[means[f"{WORST}_mean"].isna()]
    names = []
    for curve in find_curves(missing, COMPRESSION):
        is_own = (means["method"] == curve.method) & (means["label"] == curve.label)
        is_whole = len(curve.points) == is_own.sum()
        ratios = " and ".join(format_ratio(ratio) for ratio in curve.points["compression"])
        names.append(curve.label if is_whole else f"{curve.label} at {ratios}")
    return (
        [f"not drawn, as older records do not count by class: {', '.join(names)}"] if names else []
    )

"""The figure of accuracy against compression, size or cost, a curve per method."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from rps_bench.reports.analysis.published import PUBLISHED_NOTE
from rps_bench.reports.figures.accuracy import draw_curves, name_published
from rps_bench.reports.figures.axes import COMPRESSION, Abscissa
from rps_bench.reports.figures.curves import describe_curves, find_curves
from rps_bench.reports.figures.labels import WIDE_STYLE, LabelColumn, draw_labels, labels_height
from rps_bench.reports.figures.layout import Margins, Page
from rps_bench.reports.figures.panels import Panel
from rps_bench.reports.figures.small_print import describe_panels

WIDTH, HEIGHT = 6.5, 3.8  # inches, without the small print
MARGINS = Margins()


def draw_pareto_figure(
    panel: Panel,
    abscissa: Abscissa = COMPRESSION,
    published: pd.DataFrame | None = None,
    remarks: Sequence[str] = (),
) -> Figure:
    """The figure of one panel against one quantity; needs `figure_style` in force.

    `published` curves (`rps_bench.reports.analysis.published`) need nominal compression on x;
    `remarks` are further lines of small print.
    """
    assert published is None or abscissa is COMPRESSION
    curves = find_curves(panel.points, abscissa)
    notes = describe_curves(curves, abscissa)
    if abscissa.is_cost and panel.has_diverged:
        notes.append("diverged runs not drawn: they ended early")
    small_print = describe_panels([panel], notes)
    small_print += [*([PUBLISHED_NOTE] if published is not None else []), *remarks]
    names = [curve.label for curve in curves] + ["chance"]
    if published is not None:
        names += [name_published(method) for method in published["method"].unique()]
    height = max(HEIGHT, labels_height(names, WIDE_STYLE) + MARGINS.top + MARGINS.bottom)
    page = Page(WIDTH, (height,), small_print, margins=MARGINS)
    axes, right = page.add_axes(0)
    labels = draw_curves(axes, panel, curves, abscissa, published)
    axes.set_title(panel.title + (", with published curves" if published is not None else ""))
    draw_labels([LabelColumn(axes, labels, right)], WIDE_STYLE)
    return page.figure

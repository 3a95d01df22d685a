"""Curve labels in a column to the right of the axes, moved apart and tied to their curves."""

import itertools
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

LINE_SPACING = 1.3  # of the font size
COLUMN_GAP_POINTS = 20.0  # from the axes to the labels: room for the leader lines
MARGIN_POINTS = 10.0  # right of the widest label
LARGEST_COLUMN = 0.45  # of the cell's width to the right of its y axis
FAR = 0.75  # of the axis: leader lines that start left of this are fainter


class LabelStyle(NamedTuple):
    """The typography of labels in a figure."""

    font_size: float
    widest: int  # characters, after which a label continues on a second line


WIDE_STYLE = LabelStyle(7.5, 30)  # one panel fills the figure
SMALL_STYLE = LabelStyle(6.5, 20)  # panels side by side


class CurveLabel(NamedTuple):
    """A label and the data point at which its curve ends."""

    text: str
    colour: str
    x: float
    y: float


def spread(
    positions: Sequence[float], heights: Sequence[float], low: float, high: float
) -> list[float]:
    """Positions close to the given ones at which labels of these heights do not overlap.

    The order stays, and the sum of squared moves is least. Subtracting from each position the room
    needed by all labels below it turns the problem into isotonic regression, solved by pooling
    neighbours that are out of order. Positions are middles; all lie in [low, high] if the room
    suffices, else the heights shrink in proportion.
    """
    if not positions:
        return []
    # `below` is the distance of each middle from the lowest one if all touch each other.
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    gaps = [(heights[a] + heights[b]) / 2 for a, b in itertools.pairwise(order)]
    shrink = min(1.0, (high - low) / sum(gaps)) if gaps else 1.0
    below = list(itertools.accumulate((gap * shrink for gap in gaps), initial=0.0))
    flat = _fit_rising([positions[index] - below[rank] for rank, index in enumerate(order)])
    # Clipping the flattened positions shifts whole blocks into the range and keeps their distances.
    top = high - below[-1]
    moved = [0.0] * len(positions)
    for rank, index in enumerate(order):
        moved[index] = min(max(flat[rank], low), top) + below[rank]
    return moved


def _fit_rising(values: Sequence[float]) -> list[float]:
    """The non-decreasing values nearest to the given ones in least squares."""
    # Pool adjacent violators: a value below the last pool's mean joins that pool, and so on.
    pools: list[tuple[float, int]] = []  # (mean, size)
    for value in values:
        pool = (value, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, size = pools.pop()
            total = size + pool[1]
            pool = ((mean * size + pool[0] * pool[1]) / total, total)
        pools.append(pool)
    return [mean for mean, size in pools for _ in range(size)]


class LabelColumn(NamedTuple):
    """The labels of one pair of axes; `right` is its cell's right edge, relative to the figure."""

    axes: Axes
    labels: Sequence[CurveLabel]
    right: float


def wrap_label(text: str, widest: int = WIDE_STYLE.widest) -> str:
    """Break a long label into lines, all but the first indented."""
    lines = textwrap.wrap(text, widest, subsequent_indent="  ", break_long_words=False)
    return "\n".join(lines)


def labels_height(texts: Iterable[str], style: LabelStyle) -> float:
    """The inches that labels need when stacked."""
    num_lines = sum(wrap_label(text, style.widest).count("\n") + 1 for text in texts)
    return num_lines * style.font_size * LINE_SPACING / 72


def draw_labels(columns: Sequence[LabelColumn], style: LabelStyle) -> None:
    """Write labels to the right of their axes, which shrink to make equal room for them.

    Call it last: the limits of the axes must be final. A label whose x is infinite is tied to the
    right edge.
    """
    texts = [[_write(column.axes, label, style) for label in column.labels] for column in columns]
    room = max(_fit_column(column, own, style) for column, own in zip(columns, texts, strict=True))
    for column, own in zip(columns, texts, strict=True):
        _make_room(column, room)
        _place_labels(column, own, style)


def _write(axes: Axes, label: CurveLabel, style: LabelStyle) -> Text:
    text = wrap_label(label.text, style.widest)
    return axes.text(
        0,
        0,
        text,
        color=label.colour,
        fontsize=style.font_size,
        linespacing=1.1,
        va="center" if "\n" in text else "center_baseline",
        transform=axes.transAxes,
    )


def _fit_column(column: LabelColumn, texts: Sequence[Text], style: LabelStyle) -> float:
    """The inches that the labels need; those wider than the limit shrink to it."""
    figure = _figure_of(column.axes)
    cell = (column.right - column.axes.get_position().x0) * figure.get_figwidth()
    limit: float = LARGEST_COLUMN * cell - (COLUMN_GAP_POINTS + MARGIN_POINTS) / 72
    widths = [float(text.get_window_extent().width) / figure.dpi for text in texts]
    for text, width in zip(texts, widths, strict=True):
        if width > limit:
            text.set_fontsize(style.font_size * limit / width)
    return min(max(widths, default=0.0), limit)


def _make_room(column: LabelColumn, room: float) -> None:
    place = column.axes.get_position()
    inches = room + (COLUMN_GAP_POINTS + MARGIN_POINTS) / 72
    width = column.right - place.x0 - inches / _figure_of(column.axes).get_figwidth()
    column.axes.set_position((place.x0, place.y0, width, place.height))


def _place_labels(column: LabelColumn, texts: Sequence[Text], style: LabelStyle) -> None:
    axes = column.axes
    box, dpi = axes.get_window_extent(), _figure_of(axes).dpi
    to_axes = axes.transData + axes.transAxes.inverted()
    edge = axes.get_xlim()[1]
    # Everything below is in axes coordinates: (0, 0) to (1, 1), labels right of 1.
    ends = [
        to_axes.transform((edge if math.isinf(label.x) else label.x, label.y))
        for label in column.labels
    ]
    line = style.font_size * LINE_SPACING / (box.height / dpi * 72)
    heights = [line * (text.get_text().count("\n") + 1) for text in texts]
    places = spread([y for _, y in ends], heights, 0.0, 1.0)
    right = 1 + COLUMN_GAP_POINTS / (box.width / dpi * 72)
    for text, end, place in zip(texts, ends, places, strict=True):
        text.set_position((right, place))
        _draw_leader(axes, text, (float(end[0]), float(end[1])))


def _figure_of(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def _draw_leader(axes: Axes, text: Text, end: tuple[float, float]) -> None:
    """Tie a label to the end of its curve by a thin line, in axes coordinates."""
    column, place = text.get_position()
    pad = (column - 1) * 0.15
    is_far = end[0] < FAR  # the line crosses other curves and must not be taken for one
    axes.plot(
        [end[0] + pad, max(end[0] + 2 * pad, 1.0), column - pad],
        [end[1], end[1], place],
        transform=axes.transAxes,
        color=text.get_color(),
        linewidth=0.4 if is_far else 0.5,
        alpha=0.35 if is_far else 0.6,
        clip_on=False,
        zorder=1,
    )

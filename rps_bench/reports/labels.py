"""Curve labels in a column right of the axes, moved apart and tied to their curves."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

FONT_SIZE = 7.5
LINE_SPACING = 1.3  # of the font size
COLUMN_GAP_POINTS = 20.0  # from the axes to the labels, room for the leader lines
MARGIN_POINTS = 12.0  # right of the widest label
LARGEST_COLUMN = 0.42  # of the figure's width


class CurveLabel(NamedTuple):
    """A label and the data point its curve ends in."""

    text: str
    colour: str
    x: float
    y: float


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions at least `gap` apart, in the same order, least squares from the given ones.

    Substituting z_i = y_i - i * gap turns it into isotonic regression, solved by pooling
    neighbours that are out of order. All lie in [low, high] if the room suffices, else they
    share it evenly.
    """
    if not positions:
        return []
    gap = min(gap, (high - low) / max(len(positions) - 1, 1))
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    pools: list[tuple[float, int]] = []  # (mean, size)
    for rank, index in enumerate(order):
        pool = (positions[index] - rank * gap, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, size = pools.pop()
            total = size + pool[1]
            pool = ((mean * size + pool[0] * pool[1]) / total, total)
        pools.append(pool)
    flat = [mean for mean, size in pools for _ in range(size)]
    top = high - (len(positions) - 1) * gap
    moved = [0.0] * len(positions)
    for rank, index in enumerate(order):
        moved[index] = min(max(flat[rank], low), top) + rank * gap
    return moved


def draw_labels(axes: Axes, labels: Sequence[CurveLabel]) -> list[Text]:
    """Write the labels right of the axes, whose right edge moves to make room for them.

    Call it last: the axes' limits must be final.
    """
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    texts = [_write(axes, label) for label in labels]
    _make_room(figure, axes, texts)
    box = axes.get_window_extent()
    points_wide, points_high = box.width / figure.dpi * 72, box.height / figure.dpi * 72
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [to_axes.transform((label.x, label.y)) for label in labels]
    places = spread([y for _, y in ends], FONT_SIZE * LINE_SPACING / points_high, 0.0, 1.0)
    column = 1 + COLUMN_GAP_POINTS / points_wide
    for text, end, place in zip(texts, ends, places, strict=True):
        text.set_position((column, place))
        _draw_leader(axes, text, (float(end[0]), float(end[1])))
    return texts


def _write(axes: Axes, label: CurveLabel) -> Text:
    return axes.text(
        0,
        0,
        label.text,
        color=label.colour,
        fontsize=FONT_SIZE,
        va="center_baseline",
        transform=axes.transAxes,
    )


def _make_room(figure: Figure, axes: Axes, texts: Sequence[Text]) -> None:
    """Shrink the axes until the widest label fits beside them; past the limit, the labels too."""
    points = 72 * figure.get_figwidth()
    widest = max((text.get_window_extent().width for text in texts), default=0.0)
    widest *= 72 / (figure.dpi * points)  # of the figure's width
    spare = (COLUMN_GAP_POINTS + MARGIN_POINTS) / points
    room = min(widest, LARGEST_COLUMN - spare)
    for text in texts:
        text.set_fontsize(FONT_SIZE * min(1.0, room / widest))
    place = axes.get_position()
    axes.set_position((place.x0, place.y0, 1 - room - spare - place.x0, place.height))


def _draw_leader(axes: Axes, text: Text, end: tuple[float, float]) -> None:
    """Tie a label to the end of its curve with a thin line; all in the axes' own coordinates."""
    column, place = text.get_position()
    pad = (column - 1) * 0.15
    axes.plot(
        [end[0] + pad, max(end[0] + 2 * pad, 1.0), column - pad],
        [end[1], end[1], place],
        transform=axes.transAxes,
        color=text.get_color(),
        linewidth=0.5,
        alpha=0.6,
        clip_on=False,
        zorder=1,
    )

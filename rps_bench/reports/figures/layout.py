"""The page of a figure in inches: cells in rows and columns, title above, small print below."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rps_bench.reports.figures.small_print import wrap

SMALL_PRINT_SIZE = 6.0
QUIET = "#777777"
TITLE_SIZE = 10.0

_EDGE = 0.08  # inches around everything
_LINE = SMALL_PRINT_SIZE * 1.35 / 72
_TITLE = 0.3
_SHARED_AXIS_TITLE = 0.2


@dataclass(frozen=True)
class Margins:
    """The room in inches around the axes of a cell, for ticks, axis titles and a title."""

    left: float = 0.55
    right: float = 0.08
    bottom: float = 0.42
    top: float = 0.36


@dataclass(frozen=True)
class Page:
    """A figure with cells of the same width; rows may differ in height.

    `x_title` and `y_title`, if given, are written once for all cells, and `title` once above them.
    `left` is room in inches left of all cells.
    """

    cell_width: float
    row_heights: Sequence[float]
    small_print: Sequence[str]
    num_columns: int = 1
    title: str = ""
    x_title: str = ""
    y_title: str = ""
    left: float = 0.0
    margins: Margins = Margins()
    figure: Figure = field(default_factory=Figure)

    def __post_init__(self) -> None:
        """Size the figure and write everything outside its cells."""
        FigureCanvasAgg(self.figure)
        self.figure.set_size_inches(self._width, self._height)
        lines = wrap(self.small_print, self._width)
        self._write(_EDGE, _EDGE, "\n".join(lines), fontsize=SMALL_PRINT_SIZE, color=QUIET)
        if self.title:
            y = self._height - _EDGE
            self._write(_EDGE, y, self.title, fontsize=TITLE_SIZE, fontweight="bold", va="top")
        if self.x_title:
            x = self._left + self.num_columns * self.cell_width / 2
            self._write(x, self._bottom - _SHARED_AXIS_TITLE, self.x_title, ha="center")
        if self.y_title:
            y = self._bottom + sum(self.row_heights) / 2
            self._write(_EDGE, y, self.y_title, rotation=90, va="center")

    def add_axes(self, row: int, column: int = 0) -> tuple[Axes, float]:
        """New axes in a cell, and the right edge of the cell relative to the figure's width."""
        left = self._left + column * self.cell_width
        bottom = self._bottom + sum(self.row_heights[row + 1 :])
        margins = self.margins
        axes = self.figure.add_axes(
            (
                (left + margins.left) / self._width,
                (bottom + margins.bottom) / self._height,
                (self.cell_width - margins.left - margins.right) / self._width,
                (self.row_heights[row] - margins.bottom - margins.top) / self._height,
            )
        )
        return axes, (left + self.cell_width) / self._width

    @property
    def title_height(self) -> float:
        """The inches that the title takes at the top."""
        return _TITLE if self.title else 0.0

    @property
    def _left(self) -> float:
        return self.left + (_SHARED_AXIS_TITLE if self.y_title else 0.0)

    @property
    def _bottom(self) -> float:
        lines = len(wrap(self.small_print, self._width))
        return 2 * _EDGE + lines * _LINE + (_SHARED_AXIS_TITLE if self.x_title else 0.0)

    @property
    def _width(self) -> float:
        return self._left + self.num_columns * self.cell_width

    @property
    def _height(self) -> float:
        return self._bottom + sum(self.row_heights) + self.title_height

    def _write(self, x: float, y: float, text: str, **style: Any) -> None:
        place = x / self._width, y / self._height
        self.figure.text(*place, text, **({"va": "bottom"} | style))


def num_rows(num_cells: int, num_columns: int) -> int:
    """The number of rows that this many cells need."""
    return math.ceil(num_cells / num_columns)

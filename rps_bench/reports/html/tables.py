"""Tables as HTML; tables.js sorts, filters and pages them."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import pandas as pd

from rps_bench.reports.html.encoding import escape
from rps_bench.reports.words import format_ratio

NOTHING = "\N{EN DASH}"


Kind = Literal["text", "number", "long"]


class Column(NamedTuple):
    """A column's header, what it holds, what it means (shown on hover), its field in the script.

    A field names what the script writes anew where a filter takes some of a point's runs away.
    """

    title: str
    kind: Kind = "text"
    hint: str = ""
    field: str = ""


class Cell(NamedTuple):
    """The HTML of a cell, and a number to sort by if its text does not sort by itself."""

    html: str  # escaped already
    sort_key: float | None = None


class Row(NamedTuple):
    """The cells of a row, and attributes of its element by name, such as `data-point`."""

    cells: Sequence[Cell]
    attributes: dict[str, str] = {}  # noqa: RUF012


def text_cell(value: object) -> Cell:
    """A cell of plain text; anything else is empty."""
    return Cell(escape(value) if isinstance(value, str) else "")


def number_cell(value: float | None, form: str = "") -> Cell:
    """A cell with a formatted number; a missing one is a dash and sorts last."""
    return Cell(NOTHING) if pd.isna(value) else Cell(f"{value:{form}}", float(value))


def ratio_cell(value: float) -> Cell:
    """A cell with a compression to three digits, without decimals from 1000 on: 3.16x, 1000x."""
    if pd.isna(value):
        return Cell(NOTHING)
    return Cell(format_ratio(value), float(value))


def render_table(
    name: str,
    caption: str,
    columns: Sequence[Column],
    rows: Iterable[Row],
    has_search: bool = True,
) -> str:
    """A sortable table with the id `name`, in a box that scrolls sideways when narrow.

    The first cell of a row is its header. With `has_search` there is a box for words above it.
    """
    head = "".join(_render_header(column) for column in columns)
    body = "\n".join(_render_row(columns, row) for row in rows)
    label = escape(caption)
    return (
        f'<p class="small" id="{name}-caption">{label}</p>\n'
        f"{_render_search(name) if has_search else ''}"
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{name}-caption">\n'
        f'<table class="sortable" id="{name}" aria-labelledby="{name}-caption">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
    )


def _render_search(name: str) -> str:
    return (
        f'<p class="filter controls" data-filters="{name}"><label>Search this table <input'
        f' type="search" aria-controls="{name}" placeholder="words, all must occur"></label></p>\n'
    )


def _render_header(column: Column) -> str:
    hint = f' title="{escape(column.hint)}"' if column.hint else ""
    hint += f' data-field="{column.field}"' if column.field else ""
    return (
        f'<th scope="col" class="{column.kind}" aria-sort="none"{hint}>'
        f'<button type="button">{escape(column.title)}</button></th>'
    )


def _render_row(columns: Sequence[Column], row: Row) -> str:
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in row.attributes.items())
    first, *others = zip(columns, row.cells, strict=True)
    cells = (_render_cell("td", *pair) for pair in others)
    return f"<tr{attributes}>{_render_cell('th', *first)}{''.join(cells)}</tr>"


def _render_cell(tag: str, column: Column, cell: Cell) -> str:
    scope = ' scope="row"' if tag == "th" else ""
    kind = "" if column.kind == "text" else f' class="{column.kind}"'
    key = "" if cell.sort_key is None else f' data-sort="{cell.sort_key:.9g}"'
    return f"<{tag}{scope}{kind}{key}>{cell.html}</{tag}>"

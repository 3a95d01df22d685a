"""The summary as Markdown, in GitHub's dialect."""

import re
from collections.abc import Iterable, Sequence

from rps_bench.reports.tables.sections import ACCURACY, HEADINGS, READING_NOTES, Row, Section

# An underscore inside a word is plain text in this dialect.
_SPECIAL = re.compile(r"[\\`*\[\]<>|~#]|(?<!\w)_|_(?!\w)")


def write_markdown(sections: Iterable[Section]) -> str:
    """A page with notes on how to read it and one table per experiment."""
    notes = "\n".join(f"- {escape(note)}" for note in READING_NOTES)
    parts = ["# Summary", notes]
    for section in sections:
        parts += [f"## {escape(section.title)}", _table(section.rows)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """`text` escaped so that Markdown shows it unchanged, on one line, also inside a table."""
    plain = " ".join(text.split()).replace("&", "&amp;")
    return _SPECIAL.sub(r"\\\g<0>", plain)


def _table(rows: Sequence[Row]) -> str:
    rule = ["---", *["---:"] * (len(HEADINGS) - 1)]
    lines = [list(HEADINGS), rule, *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Row) -> list[str]:
    cells = [escape(cell) for cell in row.cells]
    if row.is_best:
        cells[ACCURACY] = f"**{cells[ACCURACY]}**"
    return cells

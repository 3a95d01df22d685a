"""The summary as Markdown, in GitHub's dialect."""

import re
from collections.abc import Iterable

from rps_bench.reports.tables.sections import ACCURACY, READING_NOTES, Row, Section

# An underscore inside a word is plain text in this dialect.
_SPECIAL = re.compile(r"[\\`*\[\]<>|~#]|(?<!\w)_|_(?!\w)")


def write_markdown(sections: Iterable[Section]) -> str:
    """A page with notes on how to read it and one table per experiment."""
    sections = list(sections)
    needed = dict.fromkeys([*READING_NOTES, *(note for own in sections for note in own.notes)])
    parts = ["# Summary", "\n".join(f"- {escape(note)}" for note in needed)]
    for section in sections:
        parts += [f"## {escape(section.title)}", _table(section)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """`text` escaped so that Markdown shows it unchanged, on one line, also inside a table."""
    plain = " ".join(text.split()).replace("&", "&amp;")
    return _SPECIAL.sub(r"\\\g<0>", plain)


def _table(section: Section) -> str:
    rule = ["---", *["---:"] * (len(section.headings) - 1)]
    lines = [list(section.headings), rule, *(_cells(row) for row in section.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Row) -> list[str]:
    cells = [escape(cell) for cell in row.cells]
    if row.is_best:
        cells[ACCURACY] = f"**{cells[ACCURACY]}**"
    return cells

"""``python -m scripts.documents``: renew the tables of all documents (``make docs-tables``)."""

import sys
from pathlib import Path

from rps_bench.core.atomic import write_text
from rps_bench.core.console import say
from rps_bench.core.output import command
from scripts.documents.blocks import fill_blocks
from scripts.documents.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]


@command
def main() -> int:
    """Rewrite the documents whose tables are stale and name them; returns the exit status."""
    texts = {name: write() for name, write in TABLES.items()}
    for path in find_documents():
        text = path.read_text(encoding="utf-8")
        renewed = fill_blocks(text, texts)
        if renewed != text:
            write_text(path, renewed)
            say(str(path.relative_to(ROOT)))
    return 0


def find_documents() -> list[Path]:
    """Every README of the project."""
    folders = (ROOT, *(ROOT / name for name in ("conf", "findings", "results", "scripts", "tests")))
    nested = (ROOT / "rps_bench").rglob("README.md")
    reference = ROOT / "results" / "reference"
    found = [folder / "README.md" for folder in (*folders, reference)]
    return [*(path for path in found if path.is_file()), *sorted(nested)]


if __name__ == "__main__":
    sys.exit(main())

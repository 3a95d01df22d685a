"""Lines and tables on standard output."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rps_bench.core.errors import CompressionWarning

if TYPE_CHECKING:
    from rich.table import Table

FILE_COLUMNS = 240


def say(line: str) -> None:
    """Write one plain line to standard output at once, whole also beside other processes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def say_cautions(run_id: str) -> Iterator[None]:
    """Say each `CompressionWarning` as a plain line of the run; other warnings stay as they are."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CompressionWarning)
        yield
    for own in caught:
        if isinstance(own.message, CompressionWarning):
            say(f"{run_id}  {own.message}")
        else:
            warnings.warn_explicit(own.message, own.category, own.filename, own.lineno)


def show_table(table: "Table") -> None:
    """Write a table to standard output; into a file so wide that no line breaks."""
    from rich.console import Console  # every command imports this file, few show a table

    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_COLUMNS)
    console.print(table, markup=False, highlight=False)

"""What goes wrong with a dashboard: said in one line, and looked for where it would stay hidden."""

import tempfile
from pathlib import Path

from rps_bench.core.permissions import make_folder

SPACE_BYTES = 1 << 16  # more than a run of a few hundred epochs writes


def first_line(error: BaseException) -> str:
    """The type of an error and the first line of its message."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}" if lines[0] else type(error).__name__


def require_space(folder: Path) -> None:
    """Raise an OSError if the folder, created if missing, does not accept some data."""
    make_folder(folder)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(SPACE_BYTES))

"""The fonts and lines of every figure (`rps_bench.mplstyle`), and its files: PNG, SVG and PDF.

The bytes of a file depend only on what is drawn (and on matplotlib's version).
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from rps_bench.core.atomic import write_bytes

STYLE_FILE = Path(__file__).parents[1] / "rps_bench.mplstyle"

# Without these, matplotlib writes its version and the time into the files.
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Creator": None, "Date": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Put the package's style in force, whatever the user's own matplotlib settings say."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc_file(STYLE_FILE, use_default_template=False)
        yield


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `folder/name.png`, `.svg` and `.pdf`, each atomically; return them."""
    return [write_bytes(folder / f"{name}.{kind}", render(figure, kind)) for kind in _METADATA]


def render(figure: Figure, kind: str) -> bytes:
    """The bytes of a figure's file; `kind` is png, svg or pdf."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()

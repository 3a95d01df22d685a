"""The figures of a results folder: `plots/pareto-<dataset>-<arch>-<recipe>.png` and `.svg`.

Object-oriented matplotlib with the Agg canvas: no display, no global figure state. The files'
bytes depend on the records (and matplotlib's version) alone.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from rps_bench.atomic import write_bytes
from rps_bench.records import read_records
from rps_bench.reports.panels import split_panels
from rps_bench.reports.plot import Abscissa, draw_panel
from rps_bench.reports.table import build_table

PLOTS_FOLDER = "plots"
STYLE_FILE = Path(__file__).with_name("rps_bench.mplstyle")

_SUFFIXES: dict[Abscissa, str] = {"compression": "", "true_compression": "-true-compression"}
# Without these matplotlib writes its version and the time.
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Creator": None, "Date": None},
}


def draw_pareto(results_dir: str | Path) -> list[Path]:
    """Draw every dataset x architecture x recipe of the valid records; return the files.

    For each a main figure against nominal compression and one against true compression
    (`...-true-compression`), as PNG and SVG in `results_dir/plots/`.
    """
    records, _ = read_records(results_dir)
    return save_figures(build_table(records), results_dir)


def save_figures(table: pd.DataFrame, results_dir: str | Path) -> list[Path]:
    """Draw the figures of a table from `build_table` into `results_dir/plots/`."""
    folder = Path(results_dir) / PLOTS_FOLDER
    written = []
    with figure_style():
        for panel in split_panels(table):
            for abscissa, suffix in _SUFFIXES.items():
                figure = draw_panel(panel, abscissa)
                for kind in _METADATA:
                    path = folder / f"{panel.name}{suffix}.{kind}"
                    written.append(write_bytes(path, _render(figure, kind)))
    return written


@contextmanager
def figure_style() -> Iterator[None]:
    """Put the package's style in force, whatever the user's own matplotlib settings say."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc_file(STYLE_FILE, use_default_template=False)
        yield


def _render(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()

"""What tests ask of a study's figure."""

from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from rps_bench.reports.figures import figure_style
from rps_bench.studies.base import TheoryStudy


def draw(study: TheoryStudy, folder: Path = Path("unused")) -> Figure:
    """Measure and draw, down to the places of every mark."""
    with figure_style():
        figure = study.draw(study.measure(folder), ["small print"])
        figure.draw_without_rendering()
        return figure


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dicts."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]

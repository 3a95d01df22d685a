"""The report as one HTML file that opens offline: interactive plots, summary, claims, provenance.

`python -m rps_bench.reports --only html` writes it. Needs plotly (the extra `report`), whose script
is embedded in the file.
"""

from pathlib import Path

from rps_bench.core.atomic import write_text
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.html.page import build_page

__all__ = ["REPORT_NAME", "build_page", "write_report"]

REPORT_NAME = "report.html"


def write_report(results: Results) -> Path:
    """Write `report.html` into the results folder, atomically; return its path.

    Raises `UserError` without plotly or without records.
    """
    return write_text(results.results_dir / REPORT_NAME, build_page(results))

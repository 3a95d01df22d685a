"""Reports: table, summary, figures, claims and a web page, made from records alone, without torch.

`python -m rps_bench.reports results` writes them all. Parts that are slow to import (figures,
claims, html) are imported from their own rooms, so that a table needs no matplotlib.
"""

from rps_bench.reports.analysis.pareto import pareto_frontier
from rps_bench.reports.analysis.results import Results, read_results
from rps_bench.reports.analysis.statistics import summarise
from rps_bench.reports.analysis.table import build_table

__all__ = ["Results", "build_table", "pareto_frontier", "read_results", "summarise"]

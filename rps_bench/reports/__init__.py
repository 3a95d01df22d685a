"""Reports: tables, statistics and figures made from records alone, without torch.

`python -m rps_bench.reports results` writes them all.
"""

from rps_bench.reports.figures import draw_pareto
from rps_bench.reports.pareto import pareto_frontier
from rps_bench.reports.statistics import summarise
from rps_bench.reports.table import build_table, write_table

__all__ = ["build_table", "draw_pareto", "pareto_frontier", "summarise", "write_table"]

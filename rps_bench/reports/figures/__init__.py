"""Figures of a results folder, drawn from a study with object-oriented matplotlib, no display.

`save_figures(study)` draws all that the records allow into `results_dir/plots/`.
Colours, markers and lines are in `rps_bench/reports/styles.py`.
"""

from rps_bench.reports.figures.files import draw_pareto, plan_figures, save_figures
from rps_bench.reports.figures.panels import Panel, split_panels
from rps_bench.reports.figures.pareto_figure import draw_pareto_figure
from rps_bench.reports.figures.rendering import figure_style, save_figure

__all__ = [
    "Panel",
    "draw_pareto",
    "draw_pareto_figure",
    "figure_style",
    "plan_figures",
    "save_figure",
    "save_figures",
    "split_panels",
]

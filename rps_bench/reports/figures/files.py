"""The figures of a study and their files: `plots/<name>.png`, `.svg` and `.pdf`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from rps_bench.reports.analysis.latency import Measured, add_latency, describe_latency, read_latency
from rps_bench.reports.analysis.published import published_for, read_published
from rps_bench.reports.analysis.results import Results, read_results
from rps_bench.reports.analysis.warnings import BYTES_DO_NOT_COMPARE, name_file_formats
from rps_bench.reports.claims.differences import (
    PROBLEM_KEYS,
    SETTING_KEYS,
    find_differences,
    have_several_budgets,
)
from rps_bench.reports.figures.after_training import draw_after_training, find_retrained
from rps_bench.reports.figures.axes import (
    ABSCISSAS,
    BYTES,
    COMPRESSION,
    LATENCY,
    Abscissa,
    can_place,
    find_x,
)
from rps_bench.reports.figures.budgets import draw_budgets
from rps_bench.reports.figures.classes import draw_classes, find_measures
from rps_bench.reports.figures.densities import draw_densities, find_densities
from rps_bench.reports.figures.differences import draw_differences
from rps_bench.reports.figures.init_std import draw_init_std, find_init_std
from rps_bench.reports.figures.paired import split_rows
from rps_bench.reports.figures.panels import Panel, split_panels
from rps_bench.reports.figures.pareto_figure import draw_pareto_figure
from rps_bench.reports.figures.rates import draw_rates, find_chosen, find_rates
from rps_bench.reports.figures.rendering import figure_style, save_figure
from rps_bench.reports.figures.rewinding import draw_rewinding, find_rewinding
from rps_bench.reports.figures.sheet import draw_sheet, gather_sheets
from rps_bench.reports.figures.stale import remove_stale
from rps_bench.reports.figures.training_curves import draw_training_curves, find_histories

PLOTS_FOLDER = "plots"
# Only unchanged runs of this recipe, with all epochs and data, get published curves by default.
PAPER_RECIPE, PAPER_EPOCHS = "paper", 160


class PlannedFigure(NamedTuple):
    """A figure's file name without suffix, and a function that draws it."""

    name: str
    draw: Callable[[], Figure]


def draw_pareto(results_dir: str | Path) -> list[Path]:
    """Draw all figures of the valid records under `results_dir`; return the files."""
    return save_figures(read_results(results_dir))


def save_figures(results: Results, overlay_reference: bool = False) -> list[Path]:
    """Draw all figures the study allows into `results_dir/plots/`; return the files.

    Older figures of this package that the records no longer support are deleted. A study with
    nothing to draw leaves the folder unchanged.

    Args:
        results: The study to draw.
        overlay_reference: Draw published curves (`results_dir/reference/`) over every experiment
            on the whole dataset that has them, not only over those of recipe `paper` with all
            epochs and data. They come in separate files, `...-with-published`.
    """
    folder = results.results_dir / PLOTS_FOLDER
    written = []
    with figure_style():
        for name, draw in plan_figures(results, overlay_reference):
            written += save_figure(draw(), folder, name)
    if written:
        remove_stale(folder, results, written)
    return written


def plan_figures(results: Results, overlay_reference: bool = False) -> Iterator[PlannedFigure]:
    """Yield the figures of a study, by experiment, then sheets and differences; draws nothing.

    Each figure is drawn when its `draw` is called, with `figure_style` in force.
    """
    panels = split_panels(results)
    published = read_published(results.results_dir)
    measured = read_latency(results.results_dir)
    chosen = find_chosen(results.results_dir)
    for panel in panels:
        rates = find_rates(panel, chosen)
        if len(rates):  # trials of a search: what they gave at one rate or another is no result
            yield _plan(f"rates-{panel.stem}", draw_rates, panel, rates)
            continue
        yield from _plan_pareto(panel)
        yield from _plan_latency(panel, measured)
        known = published_for(published, panel.dataset, panel.arch)
        is_alike = panel.split == "test" and panel.is_of_whole_data
        if len(known) and is_alike and (overlay_reference or _is_paper_recipe(panel)):
            yield _plan(
                f"pareto-{panel.stem}-with-published", draw_pareto_figure, panel, COMPRESSION, known
            )
        histories = find_histories(panel, results.records)
        if len(histories):
            yield _plan(f"curves-{panel.stem}", draw_training_curves, panel, histories)
        densities = find_densities(panel, results.records)
        if len(densities):
            yield _plan(f"densities-{panel.stem}", draw_densities, panel, densities)
        measures = find_measures(panel)
        if measures:
            yield _plan(f"classes-{panel.stem}", draw_classes, panel, measures)
        rewound = find_rewinding(panel, results.records)
        if len(rewound):
            yield _plan(f"rewinding-{panel.stem}", draw_rewinding, panel, rewound)
        series = find_init_std(panel)
        if len(series):
            yield _plan(f"init-std-{panel.stem}", draw_init_std, panel, series)
    drawn = [panel for panel in panels if not len(find_rates(panel, chosen))]
    for name, members in gather_sheets(drawn).items():
        yield _plan(name, draw_sheet, members)
    yield from plan_after_training(results)
    yield from plan_differences(results, find_differences(results))


def plan_after_training(results: Results) -> Iterator[PlannedFigure]:
    """Yield the figures of what was compressed after training; draws nothing."""
    for panel in split_panels(results):
        retrained = find_retrained(panel)
        if len(retrained):
            yield _plan(f"after-{panel.stem}", draw_after_training, panel, retrained)


def plan_differences(results: Results, rows: pd.DataFrame) -> Iterator[PlannedFigure]:
    """Yield the figures of the rows of `find_differences`, by experiment and by budget."""
    for problem in split_rows(results, rows, PROBLEM_KEYS):
        yield _plan(f"differences-{problem.stem}", draw_differences, problem)
    for budgets in split_rows(results, rows[have_several_budgets(rows)], SETTING_KEYS):
        yield _plan(f"budgets-{budgets.stem}", draw_budgets, budgets)


def _plan_pareto(panel: Panel) -> Iterator[PlannedFigure]:
    for abscissa in ABSCISSAS:
        if can_place(panel.points, abscissa):
            name = f"pareto-{panel.stem}{abscissa.suffix}"
            yield _plan(name, draw_pareto_figure, panel, abscissa, None, _warn(panel, abscissa))


def _warn(panel: Panel, abscissa: Abscissa) -> tuple[str, ...]:
    """Warnings in the small print, if values on this axis are not comparable."""
    if abscissa is BYTES and name_file_formats(panel.runs).nunique() > 1:
        return (f"careful: {BYTES_DO_NOT_COMPARE}",)
    return ()


def _plan_latency(panel: Panel, measured: Measured | None) -> Iterator[PlannedFigure]:
    """Plan accuracy against time, if networks with different times were measured."""
    if measured is None:
        return
    timed = replace(panel, points=add_latency(panel.points, measured))
    if find_x(timed.points, LATENCY).nunique() > 1:
        name, notes = f"pareto-{panel.stem}{LATENCY.suffix}", (describe_latency(measured),)
        yield _plan(name, draw_pareto_figure, timed, LATENCY, None, notes)


def _is_paper_recipe(panel: Panel) -> bool:
    """Whether the runs were trained like the published ones; what is not stated is trusted."""
    runs = panel.runs
    epochs = runs["recipe.epochs"].dropna() if "recipe.epochs" in runs else runs["epochs"].iloc[:0]
    partial = runs["dataset.is_partial"].dropna() if "dataset.is_partial" in runs else epochs[:0]
    is_whole = bool((epochs == PAPER_EPOCHS).all()) and not bool(partial.any())
    return panel.recipe == PAPER_RECIPE and is_whole


def _plan(name: str, draw: Callable[..., Figure], *arguments: Any) -> PlannedFigure:
    return PlannedFigure(name, lambda: draw(*arguments))

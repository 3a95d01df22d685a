"""Studies made in memory, and what tests ask of a figure."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rps_bench.reports.analysis.results import Results
from rps_bench.reports.analysis.runs import describe_runs
from rps_bench.reports.analysis.statistics import summarise_runs
from rps_bench.reports.analysis.table import build_table
from rps_bench.reports.figures import Panel, figure_style, split_panels
from rps_bench.reports.figures.accuracy import DIVERGED_MARKER

Record = dict[str, Any]
MakeRecord = Callable[..., Record]


def make_study(*records: Record, results_dir: Path = Path("unused")) -> Results:
    table = build_table(records)
    runs = describe_runs(table)
    return Results(results_dir, tuple(records), (), table, runs, summarise_runs(runs))


def make_panels(*records: Record) -> list[Panel]:
    return split_panels(make_study(*records))


def draw(function: Callable[..., Figure], *arguments: Any) -> Figure:
    with figure_style():
        return function(*arguments)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def crosses(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if line.get_marker() == DIVERGED_MARKER]


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(x, y) for x, y in np.asarray(line.get_xydata(), dtype=float).tolist()]


def curve(axes: Axes, label: str) -> Line2D:
    """The line of a curve, drawn by itself or as part of an error bar container."""
    lines = [line for line in axes.lines if line.get_label() == label]
    lines += [bar.lines[0] for bar in axes.containers if bar.get_label() == label]  # type: ignore[attr-defined]
    (line,) = lines
    return line


def set_history(record: Record, accuracies: Sequence[float], losses: Sequence[float]) -> Record:
    pairs = zip(accuracies, losses, strict=True)
    record["history"] = [
        {"epoch": epoch, "test_accuracy": accuracy, "train_loss": loss}
        for epoch, (accuracy, loss) in enumerate(pairs, start=1)
    ]
    return record


def set_densities(record: Record, **densities: float) -> Record:
    layers = {f"{name}.weight": density for name, density in densities.items()}
    record["method_report"] = {"layer_densities": layers}
    return record


@pytest.fixture
def rich_records(make_record: MakeRecord) -> list[Record]:
    """Records that allow every kind of figure."""
    records = [set_history(make_record("dense", 1.0), [50.0, 90.0], [2.0, 1.0])]
    for compression in (10.0, 100.0):
        record = set_densities(make_record("mag", compression), stem=0.1, classifier=0.0)
        records.append(set_history(record, [40.0, 80.0], [2.0, 1.5]))
    for std in (0.01, 0.1):
        options = {"init_std": std, "scaling": "gram"}
        label = f"stable_rps (init_std={std})"
        record = make_record("stable_rps", 10.0, method_options=options, label=label)
        records.append(set_history(record, [45.0, 85.0], [2.0, 1.2]))
    return records

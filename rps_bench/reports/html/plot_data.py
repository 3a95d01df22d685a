"""The numbers behind the interactive plots, as plain lists for the page's own script.

Rows are lists whose fields are named once, so that ten thousand runs add little to the page.
Numbers keep six significant digits.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rps_bench.records.schema import split_of
from rps_bench.reports.analysis.options import RATE
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.analysis.statistics import interval_margin
from rps_bench.reports.figures.curves import find_kind
from rps_bench.reports.html.experiments import Experiment
from rps_bench.reports.html.links import RecordLinks
from rps_bench.reports.html.metrics import METRICS, measure_points
from rps_bench.reports.html.numbers import to_number
from rps_bench.reports.styles import (
    ARCH_TITLES,
    DASH_DOTTED,
    DASHED,
    DATASET_TITLES,
    DOTTED,
    LONG_DASHED,
    SOLID,
    method_rank,
    method_style,
)

MOST_EPOCHS_DRAWN = 200_000  # of all runs together: about 4 MB of the page

# matplotlib's letters for markers and lines, as used in styles.py -> plotly's names.
SYMBOLS = {
    "o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down",
    "p": "pentagon", "<": "triangle-left", ">": "triangle-right", "h": "hexagon", "H": "hexagon2",
    "P": "cross", "X": "x", "d": "diamond-tall", "8": "octagon", "*": "star", "_": "line-ew",
}  # fmt: skip
DASHES = {
    SOLID: "solid",
    DASHED: "dash",
    DOTTED: "dot",
    DASH_DOTTED: "dashdot",
    LONG_DASHED: "longdash",
}

POINT_FIELDS = [
    "label", "compression", "true_compression", "stored_bytes", "macs", "effective_macs",
    "total_epochs", "total_train_seconds", "num_trainings", "n", "num_diverged", "num_failed",
]  # fmt: skip
# Settings that experiments differ in -> name in the page.
SETTINGS = {RATE: "lr", "recipe.weight_decay": "weight_decay"}
# A run's sizes and costs are there for means over the runs that a filter leaves.
RUN_FIELDS = [
    "run_id", "point", "seed", "status", "reason", *METRICS, "epochs", "train_seconds",
    "true_compression", "stored_bytes", "macs", "effective_macs", "total_epochs",
    "total_train_seconds", "num_trainings", *SETTINGS,
]  # fmt: skip


def collect_plot_data(
    results: Results, experiments: list[Experiment], links: RecordLinks
) -> dict[str, Any]:
    """The data of all plots, JSON-ready.

    Keys: `experiments` with their curves (which hold positions in `points`), `point_fields` and
    `points`, `run_fields` and `runs`, `histories` (one per run) and `epoch_step` (only epochs that
    it divides, the first and the last are in them), `quantiles` (of Student's t by the number of
    runs, for 95% intervals), `titles` of datasets and architectures by name.
    """
    runs = pd.concat([experiment.runs for experiment in experiments])
    runs = runs.sort_values(["point", "seed", "run_id"], kind="stable", ignore_index=True)
    measured = measure_points(runs, results.points)
    points = results.points[POINT_FIELDS].join(measured)
    records = {str(record["run_id"]): record for record in results.records}
    histories = [_read_history(records[run_id]) for run_id in runs["run_id"]]
    step = math.ceil(sum(len(epochs) for epochs, *_ in histories) / MOST_EPOCHS_DRAWN)
    return {
        "experiments": [_describe_experiment(experiment) for experiment in experiments],
        "point_fields": list(points.columns),
        "points": _to_rows(points),
        "run_fields": [
            *((METRICS | SETTINGS).get(name, name) for name in RUN_FIELDS),
            "href",
            "collapsed",
        ],
        "runs": [
            [*row, links.get(run_id), _find_collapsed(records[run_id])]
            for row, run_id in zip(
                _to_rows(runs.reindex(columns=RUN_FIELDS)), runs["run_id"], strict=True
            )
        ],
        "histories": [_thin_history(history, step) for history in histories],
        "epoch_step": max(step, 1),
        "quantiles": _list_quantiles(runs.groupby("point").size().max()),
        "titles": DATASET_TITLES | ARCH_TITLES,
    }


def _describe_experiment(experiment: Experiment) -> dict[str, Any]:
    """Title, chance levels and curves of an experiment, in the drawing order of all figures."""
    points = experiment.points
    keys = points[["method", "label"]].drop_duplicates().itertuples(index=False, name=None)
    curves: list[dict[str, Any]] = []
    for method, label in sorted(keys, key=lambda key: (method_rank(key[0]), key)):
        own = points[(points["method"] == method) & (points["label"] == label)]
        kind = find_kind(own)
        style = method_style(method, kind)
        curves.append(
            {
                "label": label,
                "method": method,
                "kind": kind,
                "variant": sum(curve["method"] == method for curve in curves),
                "colour": style.colour,
                "symbol": SYMBOLS.get(style.marker, "circle"),
                "dash": DASHES.get(style.line, "solid"),
                "points": own.sort_values("compression").index.tolist(),
            }
        )
    return {
        "title": experiment.title,
        **experiment.key._asdict(),
        "protocol": experiment.protocol,
        "chance": {
            "accuracy": experiment.chance_accuracy,
            "best": experiment.chance_accuracy,
            "loss": experiment.chance_loss,
        },
        "num_runs": len(experiment.runs),
        "curves": curves,
    }


def _list_quantiles(most_runs: int) -> list[float | None]:
    """What std / sqrt(n) is multiplied with for half a 95% interval, by n; null below two."""
    counts = pd.Series(range(most_runs + 1), dtype="int64")
    return [to_number(value) for value in interval_margin(counts.astype("float64") ** 0.5, counts)]


def _thin_history(history: list[list[Any]], step: int) -> list[list[Any]]:
    """The first and the last epoch and those that `step` divides; all of them for a step of 1."""
    epochs = history[0]
    kept = [
        place
        for place, epoch in enumerate(epochs)
        if place in (0, len(epochs) - 1) or epoch is None or epoch % max(step, 1) == 0
    ]
    return [[values[place] for place in kept] for values in history]


def _read_history(record: Mapping[str, Any]) -> list[list[Any]]:
    """The epochs, accuracies (percent) and training losses of a run, as three lists."""
    keys = ("epoch", split_of(record["config"]).accuracy, "train_loss")
    return [[to_number(entry.get(key)) for entry in record["history"]] for key in keys]


def _find_collapsed(record: Mapping[str, Any]) -> list[str]:
    """The names of the layers without any kept weight; empty if the record does not state them."""
    report = record.get("method_report")
    names = report.get("collapsed_layers") if isinstance(report, Mapping) else None
    return [str(name) for name in names] if isinstance(names, list) else []


def _to_rows(frame: pd.DataFrame) -> list[list[Any]]:
    columns = [[_to_plain(value) for value in frame[name].tolist()] for name in frame]
    return [list(row) for row in zip(*columns, strict=True)]


def _to_plain(value: Any) -> str | int | float | None:
    return value if isinstance(value, str) else to_number(value)

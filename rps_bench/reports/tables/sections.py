"""The summary as texts: a section per experiment, a row of cells per point."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from rps_bench.reports.analysis.classes import CLASS_MEASURES, MEASURE_TITLES
from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS
from rps_bench.reports.words import name_arithmetic

HEADINGS = (
    "method", "compression", "true compression", "n", "accuracy (%)", "95% interval", "diverged",
    "failed", "stored (kB)", "MACs (M)", "epochs",
)  # fmt: skip
ACCURACY = HEADINGS.index("accuracy (%)")

READING_NOTES = (
    "accuracy: top-1 after the last epoch, mean ± sample standard deviation over n seeds; bold: the"
    " best mean of its compression",
    "95% interval: of the mean, by Student's t with n - 1 degrees of freedom; none for one seed",
    "diverged and failed runs are counted, and take no part in a mean",
    "compression is of the compressible weights, true compression of all parameters, biases and"
    " BatchNorm included",
    "MACs are of one image and count kept weights only; 1 kB is 1000 bytes; epochs are all that"
    " were spent to get one model",
)

# Read where a section has columns of the `CLASS_MEASURES`.
CLASS_NOTE = (
    "worst class: the lowest accuracy of a class in each run; many-, medium- and few-shot: of"
    " thirds of the classes by their training images; mean ± sample standard deviation over seeds"
)

_NOTHING = "-"


class Row(NamedTuple):
    """One point: a text per heading, and whether its mean is the best at its compression."""

    cells: tuple[str, ...]
    is_best: bool


class Section(NamedTuple):
    """One experiment."""

    title: str
    headings: tuple[str, ...]
    notes: tuple[str, ...]
    rows: tuple[Row, ...]


def group_experiments(points: pd.DataFrame) -> list[Section]:
    """A section per experiment; rows by rising compression, the best mean first."""
    return [_make_section(group) for _, group in points.groupby(EXPERIMENT_KEYS, dropna=False)]


def _make_section(points: pd.DataFrame) -> Section:
    """The section of one experiment, with the class measures that any of its points has."""
    measures = [key for key in CLASS_MEASURES if points[f"{key}_mean"].notna().any()]
    headings = (*HEADINGS, *(f"{MEASURE_TITLES[key]} (%)" for key in measures))
    notes = (*READING_NOTES, *([CLASS_NOTE] if measures else []))
    return Section(_title(points), headings, notes, _rows(points, measures))


def _title(points: pd.DataFrame) -> str:
    """The name of an experiment in the words of the command line."""
    first = points.iloc[0]
    options = f" ({first['experiment_options']})" if first["experiment_options"] else ""
    arithmetic = name_arithmetic(points["precision"], points["kernels"])
    return (
        f"{first['dataset']}, {first['arch']}, recipe {first['recipe']}{options},"
        f" {first['evaluation_split']} split, {arithmetic}"
    )


def _rows(points: pd.DataFrame, measures: Sequence[str]) -> tuple[Row, ...]:
    ordered = points.sort_values(["compression", "mean"], ascending=[True, False], kind="stable")
    # Means are compared as printed, so that equal texts are all marked as best.
    shown = ordered["mean"].round(2)
    rivals = shown.groupby(ordered["compression"])
    is_best = (shown == rivals.transform("max")) & (rivals.transform("count") > 1)
    points_in_order = ordered.to_dict("records")
    return tuple(
        Row(_cells(point, measures), best)
        for point, best in zip(points_in_order, is_best, strict=True)
    )


def _cells(point: dict[Any, Any], measures: Sequence[str]) -> tuple[str, ...]:
    kept = point["effective_macs"]
    macs = point["macs"] if pd.isna(kept) else kept
    return (
        str(point["label"]),
        f"{point['compression']:g}",
        _write(point["true_compression"], 1),
        str(point["n"]),
        _accuracy(point["mean"], point["std"]),
        _interval(point),
        str(point["num_diverged"]),
        str(point["num_failed"]),
        _write(point["stored_bytes"], 1, 1e3),
        _write(macs, 2, 1e6),
        _NOTHING if pd.isna(point["total_epochs"]) else f"{point['total_epochs']:g}",
        *(_accuracy(point[f"{key}_mean"], point[f"{key}_std"]) for key in measures),
    )


def _accuracy(mean: float, std: float) -> str:
    if pd.isna(mean):
        return _NOTHING
    spread = "" if pd.isna(std) else f" ± {std:.2f}"
    return f"{mean:.2f}{spread}"


def _interval(point: dict[Any, Any]) -> str:
    return _NOTHING if pd.isna(point["low"]) else f"{point['low']:.2f} to {point['high']:.2f}"


def _write(value: float, decimals: int, unit: float = 1.0) -> str:
    return _NOTHING if pd.isna(value) else f"{value / unit:.{decimals}f}"

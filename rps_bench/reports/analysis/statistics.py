"""Means, standard deviations and intervals over seeds, one row per point of a curve.

`runs.py` decides which runs may share a mean.
"""

import pandas as pd
from scipy import special

from rps_bench.records.schema import FILE_ZSTD, UNRETRAINED_BYTES
from rps_bench.reports.analysis.budgets import BUDGET_KEYS
from rps_bench.reports.analysis.classes import CLASS_MEASURES
from rps_bench.reports.analysis.runs import POINT_KEYS, describe_runs

CONFIDENCE = 0.95

_SIZES = (
    "true_compression", "stored_total", "stored_bytes", FILE_ZSTD, UNRETRAINED_BYTES, "macs",
    "effective_macs",
)  # fmt: skip
_OF_CLASSES = ("mean", "std", "count")
_SPENT = ("total_epochs", "total_train_seconds", "num_trainings")


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row per point (`POINT_KEYS`) of a table from `build_table`.

    Further columns: `mean` and sample `std` (null for one run) of the headline accuracy in percent
    over the `n` completed runs, each with its own seed; `low` and `high`, the 95% Student t
    interval of the mean with n - 1 degrees of freedom (null for one run); `best_mean` and
    `loss_mean`; `unretrained_mean` and `unretrained_std`, of the accuracy without retraining (null
    where nothing was retrained); `num_diverged`, `num_failed`; and means of sizes and costs:
    `true_compression`, `stored_total`, `stored_bytes`, `stored_bytes_zstd`,
    `stored_bytes_without_retraining`, `macs`, `effective_macs`, `total_epochs`,
    `total_train_seconds`, `num_trainings`. Costs are those of the completed runs, of the diverged
    ones where none is. `is_plain` and the `BUDGET_KEYS` as in `describe_runs`, `method_kind` and
    `protocol` as in the table. For each of the `CLASS_MEASURES` there are its `_mean` and `_std`,
    null where not all of the `n` runs tell it.
    """
    return summarise_runs(describe_runs(table))


def summarise_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The table of `summarise`, from runs that `describe_runs` has already described."""
    groups = _leave_out_cut_short(runs).groupby(POINT_KEYS, dropna=False, sort=True)
    # Accuracies are null unless a run completed, so `count` and `mean` see completed runs only.
    points = groups.agg(
        mean=("accuracy", "mean"),
        std=("accuracy", "std"),
        n=("accuracy", "count"),
        num_diverged=("has_diverged", "sum"),
        num_failed=("has_failed", "sum"),
        best_mean=("best_accuracy", "mean"),
        loss_mean=("loss", "mean"),
        unretrained_mean=("unretrained_accuracy", "mean"),
        unretrained_std=("unretrained_accuracy", "std"),
        is_plain=("is_plain", "first"),
        method_kind=("method_kind", "first"),
        **{column: (column, "first") for column in ("protocol", *BUDGET_KEYS)},
        **{column: (column, "mean") for column in (*_SIZES, *_SPENT)},
        **{f"{key}_{what}": (key, what) for key in CLASS_MEASURES for what in _OF_CLASSES},
    ).reset_index()
    points = points.astype(dict.fromkeys((*_SIZES, *_SPENT), "float64"))
    points = _hide_partial_classes(points)
    margin = interval_margin(points["std"], points["n"])
    return points.assign(low=points["mean"] - margin, high=points["mean"] + margin)


def _hide_partial_classes(points: pd.DataFrame) -> pd.DataFrame:
    """Drop the counts of class measures, and these where fewer runs tell them than completed.

    Records of before there were such measures would else leave means over fewer seeds unnoticed.
    """
    for key in CLASS_MEASURES:
        is_whole = points[f"{key}_count"] == points["n"]
        kept = {name: points[name].where(is_whole) for name in (f"{key}_mean", f"{key}_std")}
        points = points.assign(**kept).drop(columns=f"{key}_count")
    return points


def interval_margin(std: "pd.Series[float]", n: "pd.Series[int]") -> "pd.Series[float]":
    """Half the width of the 95% t interval of a mean: t(0.975, n - 1) std / sqrt(n).

    `std` is the sample standard deviation of n values. Null where n < 2.
    """
    quantile = special.stdtrit(n.clip(lower=2) - 1, (1 + CONFIDENCE) / 2)
    margin: pd.Series[float] = (quantile * std / n.clip(lower=1) ** 0.5).where(n >= 2)
    return margin


def _leave_out_cut_short(runs: pd.DataFrame) -> pd.DataFrame:
    """Hide the costs of diverged runs at points with completed ones: they stopped early."""
    has_completed = runs.groupby(POINT_KEYS, dropna=False)["accuracy"].transform("count") > 0
    is_cut_short = has_completed & runs["has_diverged"]
    return runs.assign(**{column: runs[column].mask(is_cut_short) for column in _SPENT})

"""The outcome of each run in points of accuracy, and the spots at which runs are compared.

Runs are compared only at the same spot: one experiment, arithmetic and compression (`SPOT_KEYS`).
"""

from collections.abc import Iterable

import pandas as pd

from rps_bench.datasets import DATASETS
from rps_bench.records.schema import TEST
from rps_bench.reports.analysis.budgets import BUDGET_KEYS
from rps_bench.reports.analysis.runs import ARITHMETIC_KEYS, EXPERIMENT_KEYS

GROUP_KEYS = [*EXPERIMENT_KEYS, *ARITHMETIC_KEYS]
SPOT_KEYS = [*GROUP_KEYS, "compression"]
# What else a verdict tells of its experiment, which has one value of each.
TOLD_KEYS = ["protocol", *BUDGET_KEYS]

_FLAGS = ["is_plain", "has_diverged", "has_failed"]
_KEPT = ["method", "label", "seed", "true_compression", *_FLAGS]


def read_outcomes(runs: pd.DataFrame) -> pd.DataFrame:
    """The columns that claims need, from runs of `describe_runs`, which hold each seed once.

    Claims speak of test images: runs of the validation split, such as the trials of a search for
    learning rates, are left out.

    Columns that are added:
        outcome: Accuracy in percent; chance level for a diverged run (0 if the dataset is unknown),
            null for a failed one.
        chance: 100 / number of classes, null for a dataset that this package does not know.
        resolution: Points of accuracy that one test image is worth, null if unknown.
        partial: Number of training images of a partial dataset, else null.
    """
    runs = runs[runs["evaluation_split"] == TEST.name]
    chance = runs["dataset"].map(_know(100 / info.num_classes for info in DATASETS.values()))
    official = runs["dataset"].map(_know(info.num_test for info in DATASETS.values()))
    num_test = _numbers(runs, "dataset.num_test").fillna(official.astype("float64"))
    options = [str(column) for column in runs if str(column).startswith("method.")]
    kept = runs[[*SPOT_KEYS, *TOLD_KEYS, *_KEPT, *options]].astype(dict.fromkeys(_FLAGS, "bool"))
    return kept.assign(
        outcome=runs["accuracy"].mask(runs["has_diverged"], chance.fillna(0.0)),
        chance=chance.astype("float64"),
        resolution=100 / num_test,
        partial=_numbers(runs, "dataset.num_train").where(_is_partial(runs)),
    )


def list_groups(outcomes: pd.DataFrame) -> pd.DataFrame:
    """The experiments, each by one arithmetic: unique rows of `GROUP_KEYS`, sorted."""
    return outcomes[GROUP_KEYS].drop_duplicates().sort_values(GROUP_KEYS, ignore_index=True)


def tell_groups(outcomes: pd.DataFrame) -> pd.DataFrame:
    """One row per experiment and arithmetic, with its `TOLD_KEYS`."""
    return outcomes[[*GROUP_KEYS, *TOLD_KEYS]].drop_duplicates(GROUP_KEYS)


def _know(values: Iterable[float]) -> dict[str, float]:
    return dict(zip(DATASETS, map(float, values), strict=True))


def _numbers(runs: pd.DataFrame, column: str) -> "pd.Series[float]":
    """A numeric column, null if older records lack it."""
    if column not in runs:
        return pd.Series(float("nan"), index=runs.index)
    return pd.to_numeric(runs[column], errors="coerce").astype("float64")


def _is_partial(runs: pd.DataFrame) -> "pd.Series[bool]":
    if "dataset.is_partial" not in runs:
        return pd.Series(False, index=runs.index)
    return runs["dataset.is_partial"].fillna(False).astype(bool)

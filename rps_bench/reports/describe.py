"""What may share a mean: the experiment and the curve that each run belongs to.

An *experiment* is what belongs to one figure: dataset, architecture, recipe, evaluation split and
all their options. A *curve* is a method with its non-default options, at one precision. Runs are
averaged only if experiment, curve and compression agree; seeds (and hardware) are what is left.
Each seed counts once: of several records of one configuration only one is kept.
"""

import pandas as pd

from rps_bench.reports.duplicates import find_counted
from rps_bench.reports.options import (
    EXPERIMENT_PREFIXES,
    IMBALANCE,
    METHOD_PREFIXES,
    describe_differences,
    fill_options,
    option_columns,
    write_value,
)

EXPERIMENT_KEYS = ["dataset", "arch", "recipe", "evaluation_split", "experiment_options"]
CURVE_KEYS = ["method", "label", "precision"]
POINT_KEYS = [*EXPERIMENT_KEYS, *CURVE_KEYS, "compression"]
RUN_KEYS = [*POINT_KEYS, "seed"]


def describe_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that count, with the columns that tell experiments and curves apart.

    Adds `experiment_options` (the imbalance of the classes, and what else tells runs of one
    dataset, architecture, recipe, split and imbalance apart; empty for balanced runs that share
    their options), `accuracy`, `best_accuracy` and `loss` (of the split the run was evaluated
    on; null unless completed), `has_diverged`, `has_failed`, and `is_plain` (the method with its
    default options, whatever the precision). `label` becomes different for every two curves of one
    experiment. Costs that older records lack are filled in for one ordinary training.

    Of several records of one configuration and seed one counts (`find_counted`); the others are
    left out. The index is the table's.
    """
    runs = describe_all_runs(table)
    return runs[find_counted(runs, RUN_KEYS) == runs.index]


def describe_all_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return what `describe_runs` does, with every record of a configuration."""
    has_failed = table["status"] == "failed"
    runs = table.assign(has_diverged=table["status"] == "diverged", has_failed=has_failed)
    runs = runs.assign(**_headline(runs), **_costs(runs))
    if IMBALANCE not in runs:
        runs[IMBALANCE] = float("nan")
    within = [*EXPERIMENT_KEYS[:-1], IMBALANCE]
    runs = fill_options(runs, within)
    runs["experiment_options"] = _name_experiments(runs, within)
    runs["precision"] = _resolve_precision(runs)
    return _label_curves(runs)


def _name_experiments(runs: pd.DataFrame, within: list[str]) -> list[str]:
    """Return the imbalance of each run, named even where all have it, and what else differs."""
    columns = option_columns(runs, EXPERIMENT_PREFIXES)
    differences = describe_differences(runs, within, columns, null_differs=True)
    ratios = ["" if pd.isna(x) else f"imbalance={write_value(x)}" for x in runs[IMBALANCE]]
    return [", ".join(filter(None, pair)) for pair in zip(ratios, differences, strict=True)]


def _headline(runs: pd.DataFrame) -> dict[str, "pd.Series[float]"]:
    """Return accuracy, best accuracy and loss of each run's own split, null unless completed."""
    on_validation = runs["evaluation_split"] == "validation"
    is_completed = runs["status"] == "completed"
    names = {"accuracy": "{}_accuracy", "best_accuracy": "best_{}_accuracy", "loss": "{}_loss"}
    return {
        column: runs[name.format("test")]
        .mask(on_validation, runs[name.format("validation")])
        .where(is_completed)
        for column, name in names.items()
    }


def _costs(runs: pd.DataFrame) -> dict[str, "pd.Series[float]"]:
    """Fill in what records did not state before some methods trained more than once."""
    ordinary = {
        "num_levels": 0,
        "num_trainings": 1,
        "population": 1,
        "total_epochs": runs["epochs"].astype("float64"),
        "total_train_seconds": runs["train_seconds"],
    }
    ran = ~runs["has_failed"]
    return {
        column: runs[column].mask(runs[column].isna() & ran, value)
        for column, value in ordinary.items()
    }


def _resolve_precision(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return the precision; a run that failed before it chose takes the experiment's only one."""
    precision = runs["precision"].fillna("fp32")
    outcomes = precision.mask(runs["has_failed"]).groupby([runs[key] for key in EXPERIMENT_KEYS])
    is_open = runs["has_failed"] & (precision == "auto") & (outcomes.transform("nunique") == 1)
    return precision.mask(is_open, outcomes.transform("first"))


def _label_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Make labels tell curves apart: what the runner wrote, and what else does.

    The runner's label is the method and its non-default options. Options that still differ under
    one label (defaults that changed, hand-made records) are added, and so is the precision where
    outcomes of one experiment have several. An option that a record does not state is no
    difference here: under one label it stands for the default.
    """
    options = describe_differences(
        runs,
        within=[*EXPERIMENT_KEYS, "method", "label"],
        columns=option_columns(runs, METHOD_PREFIXES),
        null_differs=False,
    )
    labels = [_add_note(*pair) for pair in zip(runs["label"], options, strict=True)]
    runs = runs.assign(is_plain=[a == b for a, b in zip(labels, runs["method"], strict=True)])
    notes = _precision_notes(runs)
    return runs.assign(label=[_add_note(*pair) for pair in zip(labels, notes, strict=True)])


def _precision_notes(runs: pd.DataFrame) -> "pd.Series[str]":
    """Return the precision of each run, empty where all outcomes of its experiment have that."""
    outcomes = runs["precision"].mask(runs["has_failed"])
    groups = outcomes.groupby([runs[key] for key in EXPERIMENT_KEYS])
    usual = groups.transform("first").where(groups.transform("nunique") == 1)
    is_lone = groups.transform("nunique") == 0
    return runs["precision"].mask((runs["precision"] == usual) | is_lone, "")


def _add_note(label: str, note: str) -> str:
    """Put a note into the label's brackets: `mag` -> `mag (note)`, `mag (a)` -> `mag (a, note)`."""
    if not note:
        return label
    return f"{label[:-1]}, {note})" if label.endswith(")") else f"{label} ({note})"

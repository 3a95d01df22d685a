"""Means and spreads over seeds, one row per curve point, and what may share a mean.

An *experiment* is what belongs to one figure: dataset, architecture, recipe, evaluation split and
all their options. A *curve* is a method with its non-default options, at one precision. Runs are
averaged only if experiment, curve and compression agree; seeds (and hardware) are what is left.
"""

from typing import Any

import pandas as pd

EXPERIMENT_KEYS = ["dataset", "arch", "recipe", "evaluation_split", "experiment_options"]
CURVE_KEYS = ["method", "label", "precision"]
POINT_KEYS = [*EXPERIMENT_KEYS, *CURVE_KEYS, "compression"]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per `POINT_KEYS` of a table from `build_table`.

    Columns beside the keys: `mean` and sample `std` (null for one run) of the headline accuracy in
    percent over the `n` completed runs, `num_diverged`, `num_failed`, and the means of
    `true_compression`, `stored_total` and `stored_bytes`.
    """
    return summarise_runs(describe_runs(table))


def summarise_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return what `summarise` does, from runs that `describe_runs` has described already."""
    points = runs.groupby(POINT_KEYS, dropna=False, sort=True).agg(
        mean=("accuracy", "mean"),
        std=("accuracy", "std"),
        n=("accuracy", "count"),
        num_diverged=("has_diverged", "sum"),
        num_failed=("has_failed", "sum"),
        true_compression=("true_compression", "mean"),
        stored_total=("stored_total", "mean"),
        stored_bytes=("stored_bytes", "mean"),
    )
    return points.reset_index()


def describe_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the columns that tell experiments and curves apart.

    Adds `experiment_options` (empty where all runs of a dataset, architecture, recipe and split
    share their options), `accuracy` (of the split the run was evaluated on; null unless completed),
    `has_diverged`, `has_failed`; `label` becomes different for every two curves of one experiment.
    """
    on_validation = table["evaluation_split"] == "validation"
    accuracy = table["test_accuracy"].mask(on_validation, table["validation_accuracy"])
    runs = table.assign(
        accuracy=accuracy.where(table["status"] == "completed"),
        has_diverged=table["status"] == "diverged",
        has_failed=table["status"] == "failed",
        precision=table["precision"].fillna("fp32"),
    )
    runs["experiment_options"] = _differing_options(
        runs, within=EXPERIMENT_KEYS[:-1], prefixes=("dataset.", "arch.", "recipe.")
    )
    runs["label"] = _label_curves(runs)
    return runs


def _differing_options(
    runs: pd.DataFrame, within: list[str], prefixes: tuple[str, ...]
) -> list[str]:
    """Describe each run by the options that have several values among the runs equal in `within`.

    An option that a run does not state is no difference: older records lack newer options.
    """
    notes = dict.fromkeys(runs.index, "")
    columns = sorted(column for column in runs.columns if column.startswith(prefixes))
    for _, same in runs.groupby(within, dropna=False):
        differing = [column for column in columns if same[column].nunique() > 1]
        for index, *values in same[differing].itertuples(name=None):
            notes[index] = _describe(dict(zip(differing, values, strict=True)))
    return list(notes.values())


def _label_curves(runs: pd.DataFrame) -> list[str]:
    """Return a label per run: what the runner wrote, and what else tells two curves apart.

    The runner's label is the method and its non-default options. Options that still differ under
    one label (hand-made records have no label) are added, and so is the precision where one
    experiment holds several.
    """
    options = _differing_options(runs, [*EXPERIMENT_KEYS, "method", "label"], ("method.",))
    precisions = runs.groupby(EXPERIMENT_KEYS, dropna=False)["precision"].transform("nunique")
    notes = runs["precision"].where(precisions > 1, "")
    return [
        _add_note(_add_note(label, option), note)
        for label, option, note in zip(runs["label"], options, notes, strict=True)
    ]


def _add_note(label: str, note: str) -> str:
    """Put a note into the label's brackets: `mag` -> `mag (note)`, `mag (a)` -> `mag (a, note)`."""
    if not note:
        return label
    return f"{label[:-1]}, {note})" if label.endswith(")") else f"{label} ({note})"


def _describe(options: dict[str, Any]) -> str:
    """Write options as `name=value, name=value` without their group, leaving out what is null."""
    return ", ".join(
        f"{column.partition('.')[2]}={value:g}"
        if isinstance(value, float)
        else f"{column.partition('.')[2]}={value}"
        for column, value in options.items()
        if not pd.isna(value)
    )

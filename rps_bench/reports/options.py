"""Which options tell runs of the same name apart, written as short notes."""

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

import pandas as pd

from rps_bench.training.recipe import Recipe

EXPERIMENT_PREFIXES = ("dataset.", "arch.", "recipe.")
METHOD_PREFIXES = ("method.",)
IMBALANCE = "dataset.imbalance"  # null: the classes as they are

# A recipe option that came later has a default that changes nothing; older records lack it.
_KNOWN_DEFAULTS = {
    f"recipe.{field.name}": field.default
    for field in fields(Recipe)
    if field.default is not MISSING and field.default is not None
}


def option_columns(runs: pd.DataFrame, prefixes: tuple[str, ...]) -> list[str]:
    """Return the columns of the options whose group is named, sorted."""
    return sorted(column for column in runs.columns if column.startswith(prefixes))


def fill_options(runs: pd.DataFrame, within: list[str]) -> pd.DataFrame:
    """Return the runs with the options that they do not state but that are known all the same.

    A recipe option with a default counts as its default. A failed run may have stopped before it
    knew its data: it takes the dataset options of the others equal in `within`, if these agree.
    """
    known = {
        column: runs[column].fillna(default)
        for column, default in _KNOWN_DEFAULTS.items()
        if column in runs
    }
    groups = runs.groupby(within, dropna=False)
    for column in option_columns(runs, ("dataset.",)):
        agree = groups[column].transform("nunique") == 1
        is_open = runs[column].isna() & runs["has_failed"] & agree
        known[column] = runs[column].mask(is_open, groups[column].transform("first"))
    return runs.assign(**known)


def describe_differences(
    runs: pd.DataFrame, within: list[str], columns: Sequence[str], null_differs: bool
) -> list[str]:
    """Describe each run by the options that have several values among the runs equal in `within`.

    With `null_differs`, an option that one run states and another does not (or states as null) is
    a difference; what is null is left out of the description.
    """
    groups = runs.groupby(within, dropna=False)
    differs = {
        column: groups[column].transform("nunique", dropna=not null_differs) > 1
        for column in columns
    }
    notes: list[list[str]] = [[] for _ in range(len(runs))]
    for column, marks in differs.items():
        if not marks.any():
            continue
        for note, differs_here, value in zip(notes, marks, runs[column], strict=True):
            if differs_here and not pd.isna(value):
                note.append(f"{column.partition('.')[2]}={write_value(value)}")
    return [", ".join(note) for note in notes]


def write_value(value: Any) -> str:
    """Write an option's value: short, but never two values alike."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)

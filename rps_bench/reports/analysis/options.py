"""Options in which runs of the same name differ, written as short notes."""

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

import pandas as pd

from rps_bench.config import TUNED
from rps_bench.training.recipe import Recipe

EXPERIMENT_PREFIXES = ("dataset.", "arch.", "recipe.")
METHOD_PREFIXES = ("method.",)
RATE = "recipe.lr"
_CHOSEN_PREFIX = "tuning.settings."  # of what was chosen with the rate
# What makes other data of a dataset, so that it is always named; null: as the dataset has it.
IMBALANCE = "dataset.imbalance"
IMAGE_SIZE = "dataset.image_size"
DATA_OPTIONS = (IMAGE_SIZE, IMBALANCE)

# Recipe options added later have defaults that change nothing; older records lack these options.
_KNOWN_DEFAULTS = {
    f"recipe.{field.name}": field.default
    for field in fields(Recipe)
    if field.default is not MISSING and field.default is not None
}


def hide_chosen(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs without the rates, and other settings of a recipe, that were chosen for each point.

    They belong to a point, as its weights do, and tell no experiments apart.
    """
    chosen = _find_chosen(runs).items()
    return runs.assign(**{option: runs[option].mask(is_chosen) for option, is_chosen in chosen})


def show_chosen(runs: pd.DataFrame) -> "dict[str, pd.Series[Any]]":
    """What `hide_chosen` hides: the options, with null where a run's was not chosen."""
    chosen = _find_chosen(runs).items()
    return {option: runs[option].where(is_chosen) for option, is_chosen in chosen}


def _find_chosen(runs: pd.DataFrame) -> "dict[str, pd.Series[bool]]":
    """The options of the recipe that were chosen, and for which runs."""
    found = {RATE: runs["protocol"] == TUNED} | {
        column.replace(_CHOSEN_PREFIX, "recipe.", 1): runs[column].notna()
        for column in runs.columns
        if column.startswith(_CHOSEN_PREFIX)
    }
    return {option: is_chosen for option, is_chosen in found.items() if option in runs}


def option_columns(runs: pd.DataFrame, prefixes: tuple[str, ...]) -> list[str]:
    """The option columns whose names start with one of the prefixes, sorted."""
    return sorted(column for column in runs.columns if column.startswith(prefixes))


def fill_options(runs: pd.DataFrame, within: list[str]) -> pd.DataFrame:
    """The runs with options filled in that they do not state but that are known nevertheless.

    A missing recipe option has its default. A failed run may have stopped before its data was
    loaded: it takes the dataset options of the other runs equal in `within`, if these agree.
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
    """A note per run: the options that have several values among the runs equal in `within`.

    With `null_differs`, an option that one run states and another does not (or states as null)
    counts as a difference. Null values are never written.
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
                note.append(write_option(column, value))
    return [", ".join(note) for note in notes]


def write_option(column: str, value: Any) -> str:
    """An option as a note, such as ``epochs=3`` of ``recipe.epochs``; null is no note."""
    return "" if pd.isna(value) else f"{column.partition('.')[2]}={write_value(value)}"


def write_value(value: Any) -> str:
    """An option's value as text: short, but different for different values."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)

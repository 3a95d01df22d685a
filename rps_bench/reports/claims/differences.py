"""Differences of every method to the reference, by every way of training: `differences.csv`.

Whether the order of methods depends on how they are trained is asked within a *problem*: a dataset
at its image size, and an architecture. Whether it depends on the budget is asked within a *setting*
of it, which has one protocol. What may be joined by a line is a *series* of a setting: runs of one
recipe, weight decay and arithmetic, and of whatever other options there are, that differ in epochs
alone. A recipe of another name is another budget, and so a series of its own.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rps_bench.core.atomic import write_text
from rps_bench.reports.analysis.budgets import EPOCHS, WEIGHT_DECAY
from rps_bench.reports.analysis.options import (
    EXPERIMENT_PREFIXES,
    IMAGE_SIZE,
    IMBALANCE,
    describe_differences,
    hide_chosen,
    option_columns,
)
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.claims.declared import REFERENCE
from rps_bench.reports.claims.evidence import interval, standard_error
from rps_bench.reports.claims.outcomes import SPOT_KEYS, read_outcomes
from rps_bench.reports.claims.pairs import summarise_pairs
from rps_bench.reports.styles import method_rank
from rps_bench.reports.words import name_arithmetic, name_budget

DIFFERENCES_NAME = "differences.csv"

PROBLEM_KEYS = ["dataset", "image_size", "imbalance", "arch"]
SETTING_KEYS = [*PROBLEM_KEYS, "protocol"]
SERIES_KEYS = ["recipe", "weight_decay", "options", "precision", "kernels"]
_PLACE_KEYS = [*SETTING_KEYS, *SERIES_KEYS, "series", "compression", "planned_epochs"]
COLUMNS = (
    *SETTING_KEYS, *SERIES_KEYS, "compression", "planned_epochs", "method", "reference",
    "difference", "low", "high", "n", "num_diverged", "num_diverged_reference",
)  # fmt: skip

_DRAWN = ("experiment", "series", "kind", "base")
_DROPS = "recipe.drops"


def find_differences(results: Results) -> pd.DataFrame:
    """One row per method, compression and experiment of problems that have several experiments.

    Experiments differ in protocol, epochs or anything that makes another series. Runs are paired by
    seed; a seed that only one side ran makes no pair, and without any pair there is no row.
    Diverged runs count at chance level.

    Columns besides those of `COLUMNS`, for drawing: `experiment` and `series` are names (what all
    others of the problem or the setting share is left out), `kind` and `base` are kind and name of
    the method, whose label with its options is `method`. `difference` is the mean of method -
    reference in points over `n` pairs, `low` and `high` its 95% t interval, null for one pair.
    """
    runs = _describe_series(results)
    sides = _list_sides(runs)
    if sides.empty or REFERENCE not in set(runs["variant"]):
        return pd.DataFrame(columns=[*COLUMNS, *_DRAWN])
    pairs = summarise_pairs(runs.assign(method=runs["variant"]), sides)
    places = runs.groupby("spot").agg(
        **{key: (key, "first") for key in _PLACE_KEYS}, resolution=("resolution", "max")
    )
    rows = pairs.merge(places, left_on="spot", right_index=True).merge(sides, on="claim")
    error = standard_error(*(_floats(rows[key]) for key in ("deviation", "n", "resolution")))
    low, high = interval(_floats(rows["difference"]), error, _floats(rows["n"]))
    rows = rows.assign(
        low=low, high=high, reference=REFERENCE, num_diverged_reference=rows["num_diverged_rival"]
    )
    rows = rows.assign(experiment=_name_experiments(rows))
    problems = rows.groupby(PROBLEM_KEYS, dropna=False)
    rows = rows[problems["experiment"].transform("nunique") > 1]
    order = [*SETTING_KEYS, *SERIES_KEYS, "compression", "planned_epochs", "rank", "method"]
    rows = rows.assign(rank=[method_rank(base) for base in rows["base"]]).sort_values(order)
    return rows[[*COLUMNS, *_DRAWN]].reset_index(drop=True)


def have_several_budgets(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows are of a setting with a recipe run for several epochs or weight decays."""
    recipes = rows.groupby([*SETTING_KEYS, "recipe"], dropna=False)
    is_varied = (recipes["planned_epochs"].transform("nunique") > 1) | (
        recipes["weight_decay"].transform("nunique") > 1
    )
    settings = [rows[key] for key in SETTING_KEYS]
    has_varied: pd.Series[bool] = is_varied.groupby(settings, dropna=False).transform("any")
    return has_varied.astype("bool")


def save_differences(results: Results) -> list[Path]:
    """Write `differences.csv` into the results folder, atomically; without rows it goes."""
    rows, path = find_differences(results), results.results_dir / DIFFERENCES_NAME
    if rows.empty:
        path.unlink(missing_ok=True)
        return []
    return [write_text(path, rows[list(COLUMNS)].to_csv(index=False, lineterminator="\n"))]


def _describe_series(results: Results) -> pd.DataFrame:
    """The outcomes on test images with what tells settings, series and spots apart."""
    outcomes = read_outcomes(results.runs)
    outcomes = outcomes[outcomes["outcome"].notna()]
    runs = results.runs.loc[outcomes.index]
    runs = runs[runs["planned_epochs"].notna()]
    runs = runs.assign(imbalance=runs[IMBALANCE], outcome=outcomes["outcome"])
    runs = runs.assign(resolution=outcomes["resolution"], options=_name_options(runs))
    spots = runs.groupby(SPOT_KEYS, dropna=False)
    return runs.assign(series=_name_series(runs), spot=spots.ngroup())


def _name_options(runs: pd.DataFrame) -> list[str]:
    """The options besides epochs and weight decay in which runs of a setting and recipe differ."""
    told = {EPOCHS, WEIGHT_DECAY, IMAGE_SIZE, IMBALANCE}
    columns = [name for name in option_columns(runs, EXPERIMENT_PREFIXES) if name not in told]
    alike = hide_chosen(runs)
    if _DROPS in runs:
        pairs = zip(runs[_DROPS], runs["planned_epochs"], strict=True)
        alike = alike.assign(**{_DROPS: [_scale_drops(*pair) for pair in pairs]})
    return describe_differences(alike, [*SETTING_KEYS, "recipe"], columns, null_differs=True)


def _scale_drops(drops: Any, epochs: Any) -> Any:
    """The drops of a schedule as shares of its epochs: longer training has later ones."""
    try:
        return json.dumps([round(drop / epochs, 3) for drop in json.loads(drops)])
    except (TypeError, ValueError, ZeroDivisionError):  # not stated, or by hand
        return drops


def _name_series(runs: pd.DataFrame) -> "pd.Series[str]":
    """Recipe, weight decay and options, and the arithmetic where the setting has several."""
    arithmetic = _if_several(_name_arithmetic(runs), runs, SETTING_KEYS)
    decays = [name_budget([], [decay]) for decay in runs["weight_decay"]]
    return _join_words(runs, _name_recipes(runs), decays, runs["options"], arithmetic)


def _name_experiments(rows: pd.DataFrame) -> "pd.Series[str]":
    """Recipe, epochs, protocol; weight decay and arithmetic where the problem has several."""
    decays = pd.Series([name_budget([], [decay]) for decay in rows["weight_decay"]], rows.index)
    return _join_words(
        rows,
        _name_recipes(rows),
        [name_budget([epochs], []) for epochs in rows["planned_epochs"]],
        _if_several(decays, rows, PROBLEM_KEYS),
        rows["options"],
        _if_several(_name_arithmetic(rows), rows, PROBLEM_KEYS),
        [f"protocol {protocol}" for protocol in rows["protocol"]],
    )


def _name_recipes(rows: pd.DataFrame) -> list[str]:
    return [f"recipe {recipe}" for recipe in rows["recipe"]]


def _name_arithmetic(rows: pd.DataFrame) -> "pd.Series[str]":
    pairs = zip(rows["precision"], rows["kernels"], strict=True)
    return pd.Series([name_arithmetic([a], [b]) for a, b in pairs], rows.index, dtype="str")


def _if_several(names: "pd.Series[str]", rows: pd.DataFrame, keys: list[str]) -> "pd.Series[str]":
    """The names, empty where all rows of a group by these keys share one."""
    counts = names.groupby([rows[key] for key in keys], dropna=False).transform("nunique")
    return names.where(counts > 1, "")


def _join_words(rows: pd.DataFrame, *columns: Iterable[str]) -> "pd.Series[str]":
    names = [", ".join(filter(None, words)) for words in zip(*columns, strict=True)]
    return pd.Series(names, rows.index, dtype="str")


def _list_sides(runs: pd.DataFrame) -> pd.DataFrame:
    """Every method with its options against the reference with its defaults."""
    variants = runs.groupby("variant").agg(base=("method", "first"), kind=("method_kind", "first"))
    variants = variants[variants.index != REFERENCE].reset_index()
    return variants.assign(
        claim=variants["variant"], method=variants["variant"], rival=REFERENCE
    ).drop(columns="variant")


def _floats(column: "pd.Series[Any]") -> np.ndarray[Any, np.dtype[np.float64]]:
    return column.to_numpy(dtype=np.float64)

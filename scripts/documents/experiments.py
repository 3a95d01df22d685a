"""The experiments of a results folder, kept apart: a table, or a sentence, for each of them."""

from collections.abc import Callable

import pandas as pd

from rps_bench.reports.claims.outcomes import GROUP_KEYS
from rps_bench.reports.claims.titles import title_group

# Experiments of two folders that differ in nothing else than epochs agree in these.
ALIKE_KEYS = [
    "dataset", "image_size", "arch", "recipe", "evaluation_split", "protocol", "weight_decay",
    "precision", "kernels",
]  # fmt: skip


def split_experiments(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Name and rows of each experiment by each arithmetic, of a `summary.csv` or `claims.csv`."""
    names = {"split": "evaluation_split", "options": "experiment_options"}
    rows = table.rename(columns=names).dropna(subset=["dataset"])
    options = rows["experiment_options"].astype("object").fillna("")  # without any, all are null
    rows = rows.assign(experiment_options=options)
    groups = [own for _, own in rows.groupby(GROUP_KEYS)]
    return [(title_group(own.iloc[0].to_dict()), own) for own in groups]


def write_each(table: pd.DataFrame, write: Callable[[pd.DataFrame], str]) -> str:
    """What is written of one experiment alone; of several, each under its name."""
    experiments = split_experiments(table)
    if len(experiments) == 1:
        return write(experiments[0][1])
    return "\n\n".join(f"{name}:\n\n{write(own)}" for name, own in experiments)


def find_alike(own: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The one experiment of another table that differs from `own` in epochs alone.

    Raises:
        ValueError: There is none, or there are several.
    """
    wanted = _key(own)
    found = [other for _, other in split_experiments(table) if _key(other) == wanted]
    if len(found) != 1:
        name = title_group(own.iloc[0].to_dict())
        raise ValueError(f"{len(found)} experiments are {name} at other epochs; one is needed")
    return found[0]


def _key(own: pd.DataFrame) -> list[str]:
    return [str(own[key].iloc[0]) for key in ALIKE_KEYS]

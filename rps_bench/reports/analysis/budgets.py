"""The setting of an experiment that its names alone do not say: image size, epochs, weight decay.

`experiment_options` names an option only where experiments of one folder differ in it. These are
told always, because a difference between methods may be another one at another budget.
"""

import pandas as pd

from rps_bench.reports.analysis.options import IMAGE_SIZE, hide_chosen

EPOCHS, WEIGHT_DECAY = "recipe.epochs", "recipe.weight_decay"
# Besides the protocol, and null where no run of an experiment states it.
BUDGET_KEYS = ["image_size", "planned_epochs", "weight_decay"]
_NAMES = tuple(f"{column.partition('.')[2]}=" for column in (IMAGE_SIZE, EPOCHS, WEIGHT_DECAY))


def add_budgets(runs: pd.DataFrame, experiment: list[str]) -> pd.DataFrame:
    """The runs with `BUDGET_KEYS`, of which each experiment has one value.

    A weight decay that was chosen for each point is none of the experiment's.

    `planned_epochs` is the longest training where records do not state what was planned.
    """
    groups = [runs[key] for key in experiment]
    shared = hide_chosen(runs)

    def find(column: str) -> "pd.Series[float]":
        if column not in runs:
            return pd.Series(float("nan"), index=runs.index)
        values = pd.to_numeric(shared[column], errors="coerce").astype("float64")
        return values.groupby(groups, dropna=False).transform("first")

    longest = runs["epochs"].astype("float64").groupby(groups, dropna=False).transform("max")
    longest = longest.where(longest > 0)
    return runs.assign(
        image_size=find(IMAGE_SIZE).astype("Int64"),
        planned_epochs=find(EPOCHS).fillna(longest).astype("Int64"),
        weight_decay=find(WEIGHT_DECAY),
    )


def drop_budget_notes(options: str) -> str:
    """The options of an experiment without those that `name_budget` and the title tell anyway."""
    told = ("protocol=", *_NAMES)
    return ", ".join(note for note in options.split(", ") if not note.startswith(told))

"""What a verdict is about, in words: dataset and image size, architecture, budget, protocol."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from rps_bench.reports.analysis.budgets import drop_budget_notes
from rps_bench.reports.words import name_arithmetic, name_budget, name_setting


def title_group(row: Mapping[Any, Any]) -> str:
    """The name of an experiment by one arithmetic, from its `GROUP_KEYS` and `TOLD_KEYS`."""
    size = None if pd.isna(row["image_size"]) else int(row["image_size"])
    place = name_setting(str(row["dataset"]), str(row["arch"]), size)
    arithmetic = name_arithmetic([str(row["precision"])], [str(row["kernels"])])
    return ", ".join([place, title_training([row]), arithmetic])


def title_training(rows: Iterable[Mapping[Any, Any]]) -> str:
    """How runs were trained: the recipe, protocol, split and options that these rows share.

    Datasets of one recipe may differ in epochs and weight decay: all of these are named.
    """
    rows = list(rows)
    recipe, split, protocol, options = (
        str(rows[0][key])
        for key in ("recipe", "evaluation_split", "protocol", "experiment_options")
    )
    budget = name_budget(
        (row["planned_epochs"] for row in rows), (row["weight_decay"] for row in rows)
    )
    parts = [
        f"recipe {recipe}",
        budget,
        f"protocol {protocol}",
        f"{split} split" if split != "test" else "",
        drop_budget_notes(options),
    ]
    return ", ".join(part for part in parts if part)

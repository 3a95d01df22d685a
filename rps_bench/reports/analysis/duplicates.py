"""Several records of one configuration: which of them counts."""

import pandas as pd


def find_counted(runs: pd.DataFrame, keys: list[str]) -> "pd.Series[int]":
    """For each run, the index of the run that counts among those equal in `keys`.

    A completed or diverged run counts before a failed attempt, then the newest by `started_at`
    counts; a run without a date is the oldest. The index is that of `runs`.
    """
    # After sorting by preference, the last of each group counts.
    started = pd.to_datetime(runs["started_at"], format="ISO8601", utc=True, errors="coerce")
    ranked = runs[keys].assign(outcome=~runs["has_failed"], started=started, place=runs.index)
    ranked = ranked.sort_values(["outcome", "started"], kind="stable", na_position="first")
    counted = ranked.groupby(keys, dropna=False, sort=False)["place"].transform("last")
    return counted.reindex(runs.index)

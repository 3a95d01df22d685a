"""One configuration, one run: which of several records of it counts."""

import pandas as pd


def find_counted(runs: pd.DataFrame, keys: list[str]) -> "pd.Series[int]":
    """Return, for each run, the index of the run that counts among those equal in `keys`.

    A run with an outcome (completed or diverged) counts before a failed attempt, then the newest
    by `started_at`; a run without a date is the oldest. Same index as `runs`.
    """
    started = pd.to_datetime(runs["started_at"], format="ISO8601", utc=True, errors="coerce")
    ranked = runs[keys].assign(outcome=~runs["has_failed"], started=started, place=runs.index)
    ranked = ranked.sort_values(["outcome", "started"], kind="stable", na_position="first")
    counted = ranked.groupby(keys, dropna=False, sort=False)["place"].transform("last")
    return counted.reindex(runs.index)

"""The origin of an experiment's numbers in words: code, libraries, hardware, settings."""

import pandas as pd

from rps_bench.reports.words import name_hardware

MOST_VALUES_NAMED = 6
UNKNOWN = "not recorded"

_FACTS = {
    "package_version": "rps_bench",
    "python": "Python",
    "platform": "Platform",
    "num_threads": "Threads",
    "precision": "Precision",
    "kernels": "Kernels",
}
_LIBRARY = "versions."
_SETTINGS = ("recipe.", "dataset.", "arch.")


def describe_provenance(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs (what, values); a value that not all runs share carries its number of runs."""
    facts = [
        ("Runs", count_statuses(runs)),
        ("Seeds", list_seeds(runs)),
        ("Started", span_dates(runs)),
        ("Code", count_values(_name_commits(runs))),
        ("Hardware", count_hardware(runs)),
    ]
    libraries = sorted(column for column in map(str, runs) if column.startswith(_LIBRARY))
    columns = _FACTS | {column: column.removeprefix(_LIBRARY) for column in libraries}
    facts += [(title, count_values(runs[column])) for column, title in columns.items()]
    facts += [(f"Settings ({prefix[:-1]})", _list_settings(runs, prefix)) for prefix in _SETTINGS]
    return [(what, values) for what, values in facts if values]


def count_statuses(runs: pd.DataFrame) -> str:
    """The number of runs, and how many of them did not complete."""
    counts = runs["status"].value_counts()
    notes = [f"{counts[name]} {name}" for name in ("diverged", "failed") if name in counts]
    return f"{len(runs)}" + (f" ({', '.join(notes)})" if notes else "")


def list_seeds(runs: pd.DataFrame) -> str:
    """The seeds, abbreviated if there are many."""
    seeds = sorted({int(seed) for seed in runs["seed"]})
    if len(seeds) <= MOST_VALUES_NAMED:
        return ", ".join(map(str, seeds))
    return f"{len(seeds)} between {seeds[0]} and {seeds[-1]}"


def span_dates(runs: pd.DataFrame) -> str:
    """The dates of the first and the newest record."""
    days = sorted({str(date)[:10] for date in runs["started_at"].dropna()})
    if not days:
        return UNKNOWN
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def count_hardware(runs: pd.DataFrame) -> str:
    """The hardware that the runs trained on, with counts if there are several kinds."""
    return count_values(name_hardware(runs))


def count_values(values: "pd.Series[str]") -> str:
    """The distinct values, most frequent first, with counts if there are several."""
    counts = values.astype("object").where(values.notna(), UNKNOWN).astype(str).value_counts()
    named = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    if len(named) == 1:
        return str(named[0][0])
    parts = [f"{value} ({count})" for value, count in named[:MOST_VALUES_NAMED]]
    hidden = len(named) - len(parts)
    return ", ".join(parts) + (f" and {hidden} more" if hidden else "")


def _name_commits(runs: pd.DataFrame) -> "pd.Series[str]":
    """The abbreviated commit of each run, with a remark if the code differed from it."""
    short = runs["git_commit"].astype("object").str[:10]
    is_dirty = runs["git_dirty"].astype("boolean").fillna(False)
    return short.mask(is_dirty, short + " with uncommitted changes")


def _list_settings(runs: pd.DataFrame, prefix: str) -> str:
    """The options of one group as `name value`; runs that do not state an option are left out."""
    columns = sorted(column for column in map(str, runs) if column.startswith(prefix))
    known = {column: runs[column].dropna() for column in columns}
    return "; ".join(
        f"{column.removeprefix(prefix)} {count_values(values)}"
        for column, values in known.items()
        if len(values)
    )

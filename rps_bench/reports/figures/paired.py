"""What figures of differences between methods share: their rows, limits and small print."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from rps_bench.config import FIXED
from rps_bench.datasets.info import sized_name
from rps_bench.reports.analysis.options import IMBALANCE, write_option
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.claims.declared import REFERENCE
from rps_bench.reports.figures.panels import free_name, slug
from rps_bench.reports.words import count_of, name_setting

LARGEST_BAR = 0.6  # an axis reaches over bars up to this share of the means' own range ...
LEAST_BAR = 3.0  # ... or these points; longer ones are cut


@dataclass(frozen=True)
class PairedRows:
    """The differences that one figure shows: of a problem, or of one setting of it."""

    stem: str  # the end of its figure's file name
    title: str
    rows: pd.DataFrame  # of `find_differences`
    runs: pd.DataFrame  # the runs that these are of
    num_failed: int


def split_rows(results: Results, rows: pd.DataFrame, keys: Sequence[str]) -> Iterator[PairedRows]:
    """Yield the rows of `find_differences` by problem or setting, as the keys say."""
    if rows.empty:
        return
    taken: set[str] = set()
    runs = results.runs.assign(imbalance=results.runs[IMBALANCE])
    for _, own in rows.groupby(list(keys), dropna=False):
        first = own.iloc[0]
        size = None if pd.isna(first["image_size"]) else int(first["image_size"])
        notes = [write_option(IMBALANCE, first["imbalance"])]
        if "protocol" in keys and first["protocol"] != FIXED:
            notes.append(f"protocol={first['protocol']}")
        extras = ", ".join(filter(None, notes))
        place = slug(f"{sized_name(first['dataset'], size)}-{first['arch']}")
        stem = free_name(slug(f"{place}-{extras.replace('=', '')}"), "", taken)
        taken.add(stem)
        setting = name_setting(first["dataset"], first["arch"], size)
        title = ", ".join(filter(None, [setting, extras]))
        meant = _select(runs, own, keys)
        drawn = meant[~meant["has_failed"]]
        yield PairedRows(stem, title, own, drawn, int(meant["has_failed"].sum()))


def find_limits(rows: pd.DataFrame) -> tuple[float, float]:
    """The axis of differences: all means and zero, and bars unless they are very long."""
    means = [0.0, *rows["difference"]]
    low, high = min(means), max(means)
    most = max(LARGEST_BAR * (high - low), LEAST_BAR)
    low = max(min([low, *rows["low"].dropna()]), low - most)
    high = min(max([high, *rows["high"].dropna()]), high + most)
    pad = max((high - low) * 0.06, 0.5)
    return low - pad, high + pad


def describe_pairs(rows: pd.DataFrame) -> str:
    """What a point is, how many seeds it has, and what the marks mean; of axes by compression."""
    fewest, most = int(rows["n"].min()), int(rows["n"].max())
    pairs = f"{fewest} to {most} pairs" if fewest < most else count_of(most, "pair")
    marks = ["bars: 95% t interval of the mean"] if most > 1 else []
    marks += ["hollow: one seed, no interval"] if fewest == 1 else []
    marks += ["bars that leave an axis are cut"] if _is_cut(rows) else []
    if (rows["num_diverged"] + rows["num_diverged_reference"] > 0).any():
        marks.append("cross: with diverged runs, counted at chance")
    return (
        f"More than 0: more accurate than {REFERENCE}. Runs are compared in pairs of one seed,"
        f" {pairs} per point; {'; '.join(marks)}"
    )


def _is_cut(rows: pd.DataFrame) -> bool:
    for _, own in rows.groupby("compression"):
        low, high = find_limits(own)
        if (own["low"] < low).any() or (own["high"] > high).any():
            return True
    return False


def _select(runs: pd.DataFrame, rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The runs on test images, by the protocols and recipes of the rows, of their group."""
    own = runs["evaluation_split"] == "test"
    for key in keys:
        value = rows[key].iloc[0]
        own &= runs[key].isna() if pd.isna(value) else (runs[key] == value)
    for key in ("protocol", "recipe"):
        own &= runs[key].isin(rows[key])
    return runs[own.fillna(False)]

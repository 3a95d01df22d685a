"""Differences between two methods, paired by seed: runs of a seed share init and data order."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from rps_bench.reports.claims.declared import Comparison
from rps_bench.reports.claims.outcomes import SPOT_KEYS

_DECLARED = ["claim", "statement", "method", "rival", "direction", "beyond", "up_to"]


def compare(outcomes: pd.DataFrame, claims: Sequence[Comparison]) -> pd.DataFrame:
    """One row per claim and spot that it is about, whether or not both methods ran there.

    Only runs with the methods' default options count. Rows are sorted by claim, then by spot.
    Columns besides `SPOT_KEYS` and those of the claim (`claim` is its name):
        n: Pairs of runs with the same seed.
        difference, deviation: Mean and sample std of method - rival over the pairs, in points.
        best: The higher of the two mean accuracies.
        chance, resolution, partial: As in `read_outcomes`.
        num_diverged: Diverged runs within the pairs.
        num_runs, num_failed, true_compression: Numbers of all runs and of failed ones, and the mean
            true compression. These and `num_diverged` are of the method, and with the suffix
            `_rival` of the rival.
    """
    # All claims at all spots first, then only the compressions that each claim is about.
    declared = pd.DataFrame([asdict(claim) for claim in claims]).rename(columns={"name": "claim"})
    spots = _list_spots(outcomes)
    plain = outcomes[outcomes["is_plain"]].merge(spots[["spot", *SPOT_KEYS]], on=SPOT_KEYS)
    sides = _summarise_sides(plain)
    rows = declared[_DECLARED].merge(spots, how="cross")
    rows = rows[(rows["compression"] > rows["beyond"]) & (rows["compression"] <= rows["up_to"])]
    rows = rows.merge(summarise_pairs(plain, declared), how="left", on=["claim", "spot"])
    rows = rows.merge(sides, how="left", on=["spot", "method"])
    rivals = sides.rename(columns={"method": "rival"})
    rows = rows.merge(rivals, how="left", on=["spot", "rival"], suffixes=("", "_rival"))
    # A side that did not run has no row to merge: its counts are 0, not null.
    return rows.fillna({name: 0 for name in map(str, rows) if name == "n" or name[:4] == "num_"})


def _list_spots(outcomes: pd.DataFrame) -> pd.DataFrame:
    """One row per spot with any runs, sorted, numbered in a column `spot`."""
    spots = outcomes.groupby(SPOT_KEYS, dropna=False).agg(
        chance=("chance", "first"), resolution=("resolution", "max"), partial=("partial", "min")
    )
    return spots.reset_index().assign(spot=range(len(spots)))


def summarise_pairs(runs: pd.DataFrame, declared: pd.DataFrame) -> pd.DataFrame:
    """One row per claim and spot with at least one pair of runs, columns as in `compare`.

    `runs` has `spot`, `method`, `seed`, `outcome` and `has_diverged`, each seed once; `declared`
    has a `claim` by its name, and its `method` and `rival`.
    """
    known = runs.loc[runs["outcome"].notna(), ["spot", "method", "seed", "outcome", "has_diverged"]]
    # Joining on the seed makes the pairs; a seed that only one method ran makes none.
    pairs = declared[["claim", "method", "rival"]].merge(known, on="method")
    pairs = pairs.merge(
        known.rename(columns={"method": "rival"}),
        on=["spot", "rival", "seed"],
        suffixes=("", "_rival"),
    )
    pairs = pairs.assign(difference=pairs["outcome"] - pairs["outcome_rival"])
    rows = pairs.groupby(["claim", "spot"]).agg(
        n=("difference", "count"),
        difference=("difference", "mean"),
        deviation=("difference", "std"),
        best=("outcome", "mean"),
        best_rival=("outcome_rival", "mean"),
        num_diverged=("has_diverged", "sum"),
        num_diverged_rival=("has_diverged_rival", "sum"),
    )
    best = rows[["best", "best_rival"]].max(axis="columns")
    return rows.drop(columns="best_rival").assign(best=best).reset_index()


def _summarise_sides(plain: pd.DataFrame) -> pd.DataFrame:
    """Counts of runs, and the mean true compression, per spot and method."""
    rows = plain.groupby(["spot", "method"]).agg(
        num_runs=("outcome", "count"),
        num_failed=("has_failed", "sum"),
        true_compression=("true_compression", "mean"),
    )
    return rows.reset_index()

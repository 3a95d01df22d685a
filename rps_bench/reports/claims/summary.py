"""How often each claim was supported, contradicted or undecided, per experiment."""

from collections.abc import Iterator

import pandas as pd

from rps_bench.reports.claims.outcomes import GROUP_KEYS, TOLD_KEYS
from rps_bench.reports.claims.titles import title_training
from rps_bench.reports.claims.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, VERDICTS

SUMMARY_KEYS = ["claim", "statement", *GROUP_KEYS, *TOLD_KEYS]
# Counts of verdicts are added up over datasets and architectures, never over these.
POOL_KEYS = ["recipe", "evaluation_split", "protocol", "experiment_options"]
COUNTS = (*VERDICTS, "leaning_for", "leaning_against", "without_data")


def summarise_claims(claims: pd.DataFrame) -> pd.DataFrame:
    """One row per claim and experiment of `judge_claims`, in the same order.

    Columns besides `SUMMARY_KEYS`: `supported`, `contradicted` and `undecided` count compressions;
    `leaning_for` and `leaning_against` count the undecided ones whose plain interval alone would
    support or contradict; `without_data` counts those without a pair of runs; `num_seeds` is the
    largest number of pairs at any compression (0 for claims about divergence, which count
    settings).
    """
    is_open = claims["verdict"] == UNDECIDED
    counted = claims.assign(
        **{verdict: claims["verdict"] == verdict for verdict in VERDICTS},
        leaning_for=is_open & (claims["uncorrected"] == SUPPORTED),
        leaning_against=is_open & (claims["uncorrected"] == CONTRADICTED),
        without_data=claims["n"] == 0,
        num_seeds=claims["n"].where(claims["compression"].notna(), 0),
    )
    totals = {column: (column, "sum") for column in COUNTS}
    summary = counted.groupby(SUMMARY_KEYS, dropna=False, sort=False).agg(
        **totals, num_seeds=("num_seeds", "max")
    )
    return summary.reset_index()


def pool_claims(claims: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the training and the summary of the experiments that share one, of whatever dataset.

    Verdicts at several recipes, budgets or protocols answer several questions, so they are never
    counted together.
    """
    summary = summarise_claims(claims.dropna(subset=["dataset"]))
    for _, own in summary.groupby(POOL_KEYS, dropna=False):
        yield title_training(own.to_dict("records")), own

"""How often each claim was supported, contradicted or left open, per experiment."""

import pandas as pd

from rps_bench.reports.claims.outcomes import GROUP_KEYS
from rps_bench.reports.claims.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, VERDICTS

SUMMARY_KEYS = ["claim", "statement", *GROUP_KEYS]
COUNTS = (*VERDICTS, "leaning_for", "leaning_against", "without_data")


def summarise_claims(claims: pd.DataFrame) -> pd.DataFrame:
    """Return one row per claim and experiment of `judge_claims`, in the same order.

    Columns beside `SUMMARY_KEYS`: `supported`, `contradicted` and `undecided` count compressions;
    `leaning_for` and `leaning_against`, how many of the undecided have a plain interval that alone
    would support or contradict; `without_data`, how many have no pair of runs; `num_seeds`, the
    most pairs of runs that any compression has (0 for claims about divergence: settings).
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

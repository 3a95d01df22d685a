"""Claims: the statements of the paper (arXiv 2310.11611), judged by the records at hand.

`judge_claims` compares methods in pairs of runs with the same seed, which share the dense init, the
data order and the augmentation: noise that both share cancels in the difference. Every comparison
at every compression is tested for its claim and against it (`evidence.py`). All these tests of one
experiment (dataset at its image size, architecture, recipe with its options, protocol) are
corrected together, by the method of Benjamini and Hochberg. A claim is

- *supported* if the corrected test for it has p < 0.05,
- *contradicted* if the corrected test against it has p < 0.05,
- *undecided* otherwise, also if there is one seed or no data.

This controls the false discovery rate: of the verdicts given on accuracy in an experiment, at most
5% are expected to be wrong (one without verdicts counts as having none wrong). That is a mean over
many studies like this one and over the whole experiment: a single study may have more, and rows
picked from it are promised nothing. The difference needed for a verdict depends on the other
comparisons: the more of them are decided, the smaller it is (`evidence.errors_needed`).

An experiment is a question of its own, at one budget and by one protocol: other experiments in the
folder neither lend it power nor ask more of it. The rate then holds in each and so as the mean over
all; it is not promised for experiments that are picked by what they show.

The rate is guaranteed if differences are normal and the tests independent or positively dependent
(Benjamini and Yekutieli 2001, Annals of Statistics 29). Comparisons that share an arm, such as
stable_rps against many rivals, are positively dependent among tests of the same direction. Tests of
opposite directions are not; for these the rate is seen in simulations (tests/reports/claims), not
proven. The correction of Benjamini and Yekutieli needs no such condition, but costs much power: it
multiplies every adjusted p by 1 + 1/2 + ... + 1/m for m tests, 6.9 for 560.

The interval shown with a verdict is the plain 95% t interval of that one comparison. The verdict
always agrees with it: if a claim is supported (contradicted), the interval lies wholly inside
(outside) what the claim allows. (At most one of the two tests of a comparison rejects, so at most
half of all tests do, and then each still needs p < 0.05 / 2.) The converse does not hold: not every
such interval makes a verdict.

A diverged run counts at chance level, a failed one not at all.
"""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from rps_bench.core.atomic import write_text
from rps_bench.core.errors import UserError
from rps_bench.reports.analysis.results import Results
from rps_bench.reports.claims.declared import CLAIMS, DEFAULT_MARGIN, Claim, Comparison, Stability
from rps_bench.reports.claims.markdown import write_claims
from rps_bench.reports.claims.outcomes import (
    GROUP_KEYS,
    TOLD_KEYS,
    read_outcomes,
    tell_groups,
)
from rps_bench.reports.claims.stability import judge_stability
from rps_bench.reports.claims.summary import summarise_claims
from rps_bench.reports.claims.verdicts import UNDECIDED, judge_comparisons

__all__ = ["CLAIMS", "COLUMNS", "judge_claims", "save_claims", "summarise_claims"]

CLAIMS_NAME = "claims"

_DTYPES = {
    "claim": "str", "statement": "str", **dict.fromkeys(GROUP_KEYS, "str"), "protocol": "str",
    "image_size": "Int64", "planned_epochs": "Int64", "weight_decay": "float64", "method": "str",
    "rival": "str", "compression": "float64", "verdict": "str", "difference": "float64",
    "low": "float64", "high": "float64", "n": "int64", "p_value": "float64",
    "p_adjusted": "float64", "uncorrected": "str", "reason": "str",
}  # fmt: skip
COLUMNS = tuple(_DTYPES)


def judge_claims(results: Results, margin: float = DEFAULT_MARGIN) -> pd.DataFrame:
    """One row per claim, experiment, arithmetic and compression, with its verdict.

    A claim that no experiment can answer has one row, with null for its experiment and compression.

    Args:
        results: The records.
        margin: Points of accuracy that make no difference worth a claim.

    Returns:
        Columns `COLUMNS`. `difference` is the mean of method - rival in points over the `n` pairs
        of runs, `low` and `high` its plain 95% interval (null for n < 2). `p_value` is of the test
        that the data favour, for the claim or against it; `p_adjusted` is that p corrected for all
        tests of its experiment: the lowest false discovery rate at which it makes a verdict.
        `uncorrected` is the verdict that the plain interval alone would give: a claim is *leaning*
        if this says more than `verdict`. Claims about divergence have no p value; their compression
        is null and `n` counts settings. `image_size`, `planned_epochs` and `weight_decay` are those
        of the experiment; null for a dataset's own images, and where records do not say.

    Raises:
        UserError: The margin is not a number >= 0.
    """
    if not 0 <= margin < math.inf:
        raise UserError(f"margin is {margin!r}, must be a number >= 0 (points of accuracy)")
    outcomes = read_outcomes(results.runs)
    comparisons = [claim for claim in CLAIMS if isinstance(claim, Comparison)]
    rows = judge_comparisons(outcomes, comparisons, margin)
    for claim in CLAIMS:
        if isinstance(claim, Stability):
            rows += judge_stability(outcomes, claim)
    # Every claim appears in the table, in the order in which claims are declared.
    answered = {row["claim"] for row in rows}
    rows += [_leave_open(claim) for claim in CLAIMS if claim.name not in answered]
    order = {claim.name: place for place, claim in enumerate(CLAIMS)}
    rows.sort(key=lambda row: order[row["claim"]])
    claims = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in TOLD_KEYS])
    claims = claims.astype(dict.fromkeys(GROUP_KEYS, "str"))
    told = tell_groups(outcomes).astype(dict.fromkeys(GROUP_KEYS, "str"))
    claims = claims.merge(told, how="left", on=GROUP_KEYS, validate="many_to_one")
    return claims[list(COLUMNS)].astype(_DTYPES)


def save_claims(results: Results, margin: float = DEFAULT_MARGIN) -> list[Path]:
    """Write `claims.csv` and `claims.md` into the results folder, atomically; return them."""
    claims = judge_claims(results, margin)
    path = results.results_dir / f"{CLAIMS_NAME}.csv"
    return [
        write_text(path, claims.to_csv(index=False, lineterminator="\n")),
        write_text(path.with_suffix(".md"), write_claims(claims, margin)),
    ]


def _leave_open(claim: Claim) -> dict[str, Any]:
    """The row of a claim on which no experiment has runs."""
    return {
        "claim": claim.name,
        "statement": claim.statement,
        "method": claim.method,
        "rival": claim.rival,
        "verdict": UNDECIDED,
        "uncorrected": UNDECIDED,
        "n": 0,
        "reason": "no runs at the compressions that it speaks of",
    }

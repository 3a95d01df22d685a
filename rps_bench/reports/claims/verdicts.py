"""Verdicts on comparisons of accuracy: tests on paired differences, corrected by experiment."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS
from rps_bench.reports.claims.declared import Comparison, true_interval
from rps_bench.reports.claims.evidence import (
    LEVEL,
    Floats,
    adjust_p_values,
    interval,
    p_against,
    p_for,
    standard_error,
)
from rps_bench.reports.claims.outcomes import SPOT_KEYS
from rps_bench.reports.claims.pairs import compare
from rps_bench.reports.claims.reasons import explain

Flags = NDArray[np.bool_]

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided"
VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED)

_ROW_KEYS = [
    "claim", "statement", *SPOT_KEYS, "method", "rival", "verdict", "difference", "low", "high",
    "n", "p_value", "p_adjusted", "uncorrected", "reason",
]  # fmt: skip


def judge_comparisons(
    outcomes: pd.DataFrame, claims: Sequence[Comparison], margin: float
) -> list[dict[str, Any]]:
    """One row per claim and spot, with a verdict corrected over all of its experiment.

    Args:
        outcomes: From `read_outcomes`.
        claims: The claims to judge.
        margin: Points of accuracy that count as no difference.
    """
    rows = compare(outcomes, claims)
    ends = [true_interval(direction, margin) for direction in rows["direction"]]
    rows = rows.assign(bound_low=[low for low, _ in ends], bound_high=[high for _, high in ends])
    rows = decide_each(weigh(rows, margin))
    reasons = [explain(fact) for fact in rows.itertuples(index=False)]
    rows = rows.assign(reason=reasons)[_ROW_KEYS]
    return [dict(zip(_ROW_KEYS, row, strict=True)) for row in rows.itertuples(index=False)]


def weigh(rows: pd.DataFrame, margin: float) -> pd.DataFrame:
    """Add the plain interval `low`, `high` and the p values `p_for` and `p_against`.

    `uncorrected` is the verdict by the plain interval alone: whether it lies wholly inside or
    wholly outside what the claim allows. If neither method beats chance by more than the margin
    (`is_idle`), their difference says nothing: both p values are 1, and count in the correction.
    """
    n, mean = _values(rows, "n"), _values(rows, "difference")
    error = standard_error(_values(rows, "deviation"), n, _values(rows, "resolution"))
    low, high = interval(mean, error, n)
    is_idle = (n >= 2) & (_values(rows, "best") <= _values(rows, "chance") + margin)
    bounds = _values(rows, "bound_low"), _values(rows, "bound_high")
    is_inside = (low > bounds[0]) & (high < bounds[1]) & ~is_idle
    is_outside = ((high < bounds[0]) | (low > bounds[1])) & ~is_idle
    sample = (mean, error, n, *bounds)
    return rows.assign(
        low=low,
        high=high,
        is_idle=is_idle,
        uncorrected=_name_verdicts(is_inside, is_outside),
        p_for=np.where(is_idle, 1.0, p_for(*sample)),
        p_against=np.where(is_idle, 1.0, p_against(*sample)),
    )


def decide_each(rows: pd.DataFrame) -> pd.DataFrame:
    """Decide the rows of each experiment together, by whatever arithmetic; the order stays.

    So a verdict is the same whichever other experiments lie in the folder.
    """
    families = [own for _, own in rows.groupby(EXPERIMENT_KEYS, dropna=False)] or [rows]
    return pd.concat([decide(own) for own in families]).loc[rows.index]


def decide(rows: pd.DataFrame) -> pd.DataFrame:
    """Add `verdict`, and `p_value` and `p_adjusted` of the test that the data favour."""
    num_rows = len(rows)
    # The tests for and against all these rows form one family and are corrected together.
    p_values = np.concatenate([_values(rows, "p_for"), _values(rows, "p_against")])
    adjusted = adjust_p_values(p_values)
    is_significant = adjusted < LEVEL
    return rows.assign(
        verdict=_name_verdicts(is_significant[:num_rows], is_significant[num_rows:]),
        p_value=np.fmin(p_values[:num_rows], p_values[num_rows:]),
        p_adjusted=np.fmin(adjusted[:num_rows], adjusted[num_rows:]),
        num_tests=int(np.count_nonzero(~np.isnan(p_values))),
    )


def _name_verdicts(is_supported: Flags, is_contradicted: Flags) -> list[str]:
    """The verdicts as words; no comparison has both."""
    assert not (is_supported & is_contradicted).any()
    names = np.select([is_supported, is_contradicted], [SUPPORTED, CONTRADICTED], UNDECIDED)
    return [str(name) for name in names]


def _values(rows: pd.DataFrame, column: str) -> Floats:
    return rows[column].to_numpy(dtype=np.float64)

"""The reason of a verdict in words, with remarks on its runs that a reader should know."""

import math
from collections.abc import Iterator
from typing import Any

from rps_bench.reports.words import count_of

FAR_APART = 1.1  # ratio of true compressions above which they are named


def explain(row: Any) -> str:
    """The reason of one judged comparison: why it got this verdict, then remarks on its runs.

    `row` is a named tuple with the columns of `pairs.compare` and `verdicts.decide`.
    """
    if row.n == 0:
        return "; ".join([_name_missing(row), *_note_failed(row)])
    return "; ".join([_weigh(row), *_note_unpaired(row), *_note_failed(row), *_note_runs(row)])


def _name_missing(row: Any) -> str:
    lacking = [
        method
        for method, num_runs in ((row.method, row.num_runs), (row.rival, row.num_runs_rival))
        if num_runs == 0
    ]
    if not lacking:
        return "no seed that both have run"
    return f"no runs of {' and '.join(lacking)}"


def _weigh(row: Any) -> str:
    if row.n == 1:
        return "1 seed: no spread to judge by"
    if row.is_idle:
        return "neither is better than chance: nothing to compare"
    if row.verdict == "supported":
        return f"{_place(row)}{_note_small(row)}"
    if row.verdict == "contradicted":
        return _place(row)
    if crossed := [b for b in (row.bound_low, row.bound_high) if row.low <= b <= row.high]:
        return f"the interval reaches across {' and '.join(f'{b:g}' for b in crossed)}"
    return f"{_place(row)} by its own interval, not after correction for {row.num_tests} tests"


def _place(row: Any) -> str:
    """Say where the interval lies relative to the bounds of the claim."""
    if row.low >= row.bound_low and row.high <= row.bound_high:
        if math.isinf(row.bound_high):
            return f"the difference is above {row.bound_low:g}"
        if math.isinf(row.bound_low):
            return f"the difference is below {row.bound_high:g}"
        return f"the difference is between {row.bound_low:g} and {row.bound_high:g}"
    if row.high <= row.bound_low:
        return f"the difference is below {row.bound_low:g}"
    return f"the difference is above {row.bound_high:g}"


def _note_small(row: Any) -> str:
    """A note if the difference is not zero although the claim's margin tolerates it."""
    is_below = row.high < 0 and not math.isinf(row.bound_low)
    is_above = row.low > 0 and not math.isinf(row.bound_high)
    return ", though not zero" if is_below or is_above else ""


def _note_unpaired(row: Any) -> Iterator[str]:
    unpaired = int(row.num_runs + row.num_runs_rival - 2 * row.n)
    if unpaired:
        yield f"{count_of(unpaired, 'run')} without a partner of the same seed left out"


def _note_failed(row: Any) -> Iterator[str]:
    for method, num_failed in ((row.method, row.num_failed), (row.rival, row.num_failed_rival)):
        if num_failed:
            yield f"{count_of(int(num_failed), 'failed run')} of {method} left out"


def _note_runs(row: Any) -> Iterator[str]:
    for method, number in ((row.method, row.num_diverged), (row.rival, row.num_diverged_rival)):
        if number:
            level = "0% (chance is not known)" if math.isnan(row.chance) else f"{row.chance:g}%"
            kind = f"{count_of(int(number), 'diverged run')} of {method}"
            yield f"{kind} counted at {'' if math.isnan(row.chance) else 'chance, '}{level}"
    if not math.isnan(row.partial):
        yield f"partial dataset ({row.partial:,.0f} training images)"
    pair = (row.true_compression, row.true_compression_rival)
    if max(pair) > FAR_APART * min(pair):
        yield f"true compression {pair[0]:.3g}x against {pair[1]:.3g}x"

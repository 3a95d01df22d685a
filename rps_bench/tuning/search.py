"""Which learning rate is tried next: a grid on a log scale that grows where its best end is open.

Rates are positions on a line: 0 is the rate that the search begins with, a step of 1 multiplies it
by the square root of 10. First come the positions -1, 0 and 1: the recipe's own rate, which all
would have had without a search, and one on either side, which tell the direction. As long as the
best lies at an end, that end grows by a step. Then the wider gap beside the best is halved, again
and again. What comes next depends on nothing but what the trials so far gave.

Optuna, and Hydra's sweepers for Optuna, Ax and Nevergrad, model a space of many dimensions by
dozens of trials, keep a state of their own, and draw proposals whose order counts. Along one
dimension and with five trials there is nothing to model, and a rule that reads the records alone
goes on after any stop and gives any number of processes the same trials.
"""

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

from rps_bench.core.errors import UserError

FEWEST_TRIALS, MOST_TRIALS = 3, 20
# What else of a recipe may be chosen; all that says how long training takes is equal for all.
CHOSEN_WITH_RATE = ("momentum", "nesterov", "weight_decay")
STEP = 10**0.5
DIGITS = 4  # of a rate
FIRST = tuple(map(Fraction, (-1, 0, 1)))
# Of a step, 1.15 times: rates that are closer differ less than trainings with other seeds do.
FINEST = Fraction(1, 8)

Score = float | None  # validation accuracy in percent, None: diverged
Tried = Mapping[Fraction, Score]

LOWEST, HIGHEST = "lowest", "highest"


def next_positions(tried: Tried, num_trials: int) -> tuple[Fraction, ...]:
    """The positions to try next, at once; none where ``num_trials`` are tried.

    Args:
        tried: What the trials so far gave, which are those that this function asked for.
        num_trials: Of the whole search, `FEWEST_TRIALS` or more.
    """
    assert num_trials >= FEWEST_TRIALS
    if len(tried) >= num_trials:
        return ()
    if missing := tuple(position for position in FIRST if position not in tried):
        return missing
    edge = find_edge(tried)
    if edge is not None:
        return (min(tried) - 1 if edge == LOWEST else max(tried) + 1,)
    return (_halve(tried),)


def find_best(tried: Tried) -> Fraction:
    """The position of the highest accuracy, of several the lowest; a diverged trial is the worst.

    The lower of two rates that are as good is further from divergence.
    """
    return max(tried, key=lambda position: (rank(tried[position]), -position))


def find_edge(tried: Tried) -> str | None:
    """Whether the best is the lowest or the highest of all that was tried; None: it lies inside."""
    best = find_best(tried)
    if best == min(tried):
        return LOWEST
    return HIGHEST if best == max(tried) else None


def rate_at(start: float, position: Fraction) -> float:
    """The learning rate at a position: ``start`` itself at 0, rounded to four digits elsewhere.

    Raises:
        UserError: It is no number above 0.
    """
    if position == 0:
        return start
    try:
        rate = float(f"{start * STEP ** float(position):.{DIGITS}g}")
    except OverflowError:
        rate = float("inf")
    if not 0 < rate < float("inf"):
        raise UserError(f"the search around recipe.lr={start:g} leaves the numbers that there are")
    return rate


def _halve(tried: Tried) -> Fraction:
    """The middle of the gap to look into: the one beside the best that is wider.

    Of two as wide it is that of the better neighbour, then the lower one. Where both are as narrow
    as it makes sense, it is the next one; where all are, the nearer end grows.
    """
    best, known = find_best(tried), sorted(tried)
    gaps = [(low, high) for low, high in pairwise(known) if high - low > FINEST]
    if not gaps:
        low, high = known[0], known[-1]
        return low - 1 if best - low <= high - best else high + 1

    def order(gap: tuple[Fraction, Fraction]) -> tuple[Fraction, Fraction, float, Fraction]:
        low, high = gap
        is_below = high <= best
        distance = best - high if is_below else low - best
        neighbour = rank(tried[low if is_below else high])
        return distance, low - high, -neighbour, low

    low, high = min(gaps, key=order)
    return (low + high) / 2


def rank(accuracy: Score) -> float:
    """What trials are ordered by: their accuracy, and a diverged one below all."""
    return float("-inf") if accuracy is None else accuracy

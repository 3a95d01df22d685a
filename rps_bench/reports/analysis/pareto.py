"""Pareto frontiers: the points that no other point beats in both compression and accuracy."""

from collections.abc import Iterable

Point = tuple[float, float]


def pareto_frontier(points: Iterable[Point]) -> list[Point]:
    """The non-dominated (compression, accuracy) points by rising compression.

    Larger is better in both. A point stays if no other is at least as good in both and better in
    one; equal points count once. Maximising compression is minimising the stored size.
    """
    # From the highest compression down, a point is dominated unless it beats all accuracies so far.
    frontier: list[Point] = []
    for compression, accuracy in sorted(set(points), reverse=True):
        if not frontier or accuracy > frontier[-1][1]:
            frontier.append((compression, accuracy))
    return frontier[::-1]

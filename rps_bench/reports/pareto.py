"""Pareto frontiers: the points that no other point beats in both compression and accuracy."""

from collections.abc import Iterable

Point = tuple[float, float]


def pareto_frontier(points: Iterable[Point]) -> list[Point]:
    """Return the non-dominated (compression, accuracy) points by rising compression.

    More is better in both. A point stays if no other has at least its value in both and more in
    one; equal points count once. Maximising compression is minimising the stored size.
    """
    frontier: list[Point] = []
    for compression, accuracy in sorted(set(points), reverse=True):
        if not frontier or accuracy > frontier[-1][1]:
            frontier.append((compression, accuracy))
    return frontier[::-1]

"""Accuracy curves as data: which curves there are, the x of their points, the frontier."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from rps_bench.reports.analysis.pareto import pareto_frontier
from rps_bench.reports.figures.axes import Abscissa, find_x
from rps_bench.reports.styles import (
    KIND_LINES,
    UNKNOWN_KIND,
    MethodStyle,
    kind_line,
    method_rank,
    method_style,
)

SIDE_STEP = 0.02  # between methods that share one value, relative to the axis
LONE_RATIO = 1.2  # of largest to smallest x, up to which all values count as one
LONE_STEP = 0.08  # between methods in log x, if all values count as one


class Curve(NamedTuple):
    """A method (with its options) and its points by rising compression; `x` is a column."""

    label: str
    method: str
    kind: str | None  # of the method, None where the records do not say
    style: MethodStyle
    variant: int  # 0 for a method's first curve, whose markers are filled
    points: pd.DataFrame

    @property
    def means(self) -> pd.DataFrame:
        """The points with a completed run."""
        return self.points[self.points["n"] > 0]


def find_curves(points: pd.DataFrame, abscissa: Abscissa) -> list[Curve]:
    """The curves in drawing order: by method, then by label, default options first.

    Points that have no x on this axis are left out.
    """
    points = points.assign(x=find_x(points, abscissa)).dropna(subset=["x"])
    if abscissa.is_cost:
        points = points.assign(num_diverged=0)
    points = points.sort_values(["compression", "x"])
    keys = points[["method", "label"]].drop_duplicates().itertuples(index=False, name=None)
    seen: dict[str, int] = {}
    curves = []
    for method, label in sorted(keys, key=lambda key: (method_rank(key[0]), key)):
        variant = seen[method] = seen.get(method, -1) + 1
        own = points[(points["method"] == method) & (points["label"] == label)]
        kind = find_kind(own)
        curves.append(Curve(label, method, kind, method_style(method, kind), variant, own))
    return _set_side_by_side(curves) if abscissa.stands_still else curves


def find_kind(rows: pd.DataFrame) -> str | None:
    """The kind of the method that these rows of a table are of, None if none says it."""
    known = rows["method_kind"].dropna()
    return None if known.empty else str(known.iloc[0])


def find_frontier(curves: Sequence[Curve], abscissa: Abscissa) -> list[tuple[float, float]]:
    """The drawn (x, y) of the points on the Pareto frontier, empty if there is no choice.

    Sizes and costs that agree to three digits count as equal: a few bytes less are no advantage.
    """
    # Dominance is decided on true values; the drawn places may have been moved side by side.
    places: dict[tuple[float, float], tuple[float, float]] = {}
    for curve in curves:
        values = find_x(curve.means, abscissa)
        for value, x, y in zip(values, curve.means["x"], curve.means["mean"], strict=True):
            key = -float(f"{value:.2e}") if abscissa.is_less_better else value
            places.setdefault((key, y), (x, y))
    frontier = pareto_frontier(places)
    is_choice = sum(not curve.means.empty for curve in curves) > 1 and len(frontier) > 1
    return [places[point] for point in frontier] if is_choice else []


def describe_curves(curves: Sequence[Curve], abscissa: Abscissa) -> list[str]:
    """What the small print must explain about these curves."""
    drawn = {kind_line(curve.kind) for curve in curves if curve.kind != "dense"}
    words = [kind.words for kind in (*KIND_LINES.values(), UNKNOWN_KIND) if kind in drawn]
    notes = [", ".join(words)] if len(words) > 1 else []
    if find_frontier(curves, abscissa):
        notes.append("grey band: Pareto frontier")
    if abscissa.packed and any(c.means[abscissa.packed].notna().any() for c in curves):
        notes.append("thin lines to the right: what zstd at level 19 leaves of the file")
    if any((curve.points["x"] != find_x(curve.points, abscissa)).any() for curve in curves):
        notes.append("methods of one x are set side by side")
    return notes


def _set_side_by_side(curves: Sequence[Curve]) -> list[Curve]:
    """Move curves whose points all share one x apart, so that they can be told from each other."""
    # Curves that stand still, grouped by their x to three digits.
    columns: dict[float, list[int]] = {}
    for index, curve in enumerate(curves):
        x = curve.points["x"]
        if x.max() < x.min() * 1.001:
            columns.setdefault(float(f"{x.mean():.2e}"), []).append(index)
    everything = pd.concat([curve.points["x"] for curve in curves])
    ratio = everything.max() / everything.min()
    # If all methods share one value, the axis shows only these groups and they may be wider.
    step = SIDE_STEP * math.log(ratio) if ratio > LONE_RATIO else LONE_STEP
    moved = list(curves)
    for members in columns.values():
        for place, index in enumerate(members):
            points = curves[index].points
            shift = math.exp(step * ((len(members) - 1) / 2 - place))
            moved[index] = curves[index]._replace(points=points.assign(x=points["x"] * shift))
    return moved

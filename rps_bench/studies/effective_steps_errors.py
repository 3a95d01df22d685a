"""How well the predictions of `effective_steps` hold: measured over predicted, and what is allowed.

Each ratio is that of the median layer, of the layers before BatchNorm that keep any weight.
"""

import pandas as pd

# The largest errors, as factors; written down before the committed run.
ERRORS = {
    "start": 4.0,  # standard deviations by chance, of every layer
    "first_angle": 2.0,  # a redrawn network of the same kind may differ as much
    "norm": 1.15,
    "angle": 1.4,
    "memory": 1.25,
    "equilibrium": 1.2,
}
KEYS = ["variant", "compression"]


def compare(table: pd.DataFrame, course: str) -> pd.DataFrame:
    """A row per variant and compression of a course: measured over predicted, null if neither.

    `start` is the largest deviation of any layer in standard deviations; `norm` and `angle` are the
    ratios at the step where they are furthest from 1.
    """
    parts = {str(part): own for part, own in table.groupby("part")}
    starts = parts["start"]
    deviations = (starts["ratio"] / starts["predicted_ratio"] - 1).abs() / starts["ratio_std"]
    steps = _of(parts, "steps", course)
    first = steps[steps["step"] == 1]
    memory, late = _of(parts, "memory", course), _of(parts, "equilibrium", course)
    compared = {
        "start": deviations.groupby([starts[key] for key in KEYS], sort=False).max(),
        "first_angle": _median_ratio(first, "angle", "first_angle", KEYS),
        "norm": _furthest(_median_ratio(steps, "norm", "predicted_norm", [*KEYS, "step"])),
        "angle": _furthest(_median_ratio(steps, "angle", "predicted_angle", [*KEYS, "step"])),
        "memory": _median_ratio(memory, "step", "predicted_step", KEYS),
        "equilibrium": _median_ratio(late, "angle", "predicted_angle", KEYS),
    }
    return pd.DataFrame(compared).reindex(steps.set_index(KEYS).index.unique())


def exceeding(compared: pd.DataFrame) -> pd.DataFrame:
    """Where a number of `compare` is further off than ``ERRORS`` allow; false where it is null."""
    too_far = {
        name: (compared[name] > allowed)
        | ((compared[name] < 1 / allowed) if name != "start" else False)
        for name, allowed in ERRORS.items()
    }
    return pd.DataFrame(too_far)


def _of(parts: dict[str, pd.DataFrame], part: str, course: str) -> pd.DataFrame:
    return parts[part][parts[part]["course"] == course]


def _median_ratio(
    own: pd.DataFrame, measured: str, predicted: str, keys: list[str]
) -> "pd.Series[float]":
    ratio = own[measured] / own[predicted]
    return ratio.groupby([own[key] for key in keys], sort=False).median()


def _furthest(ratios: "pd.Series[float]") -> "pd.Series[float]":
    """Of each variant and compression the ratio furthest from 1 on a log scale."""

    def pick(own: "pd.Series[float]") -> float:
        distance = own.where(own > 1, 1 / own).fillna(0.0)
        return float(own.iloc[int(distance.argmax())])

    return ratios.groupby(level=KEYS, sort=False).agg(pick)

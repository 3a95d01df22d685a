"""What the plots can show on their upright axis: last accuracy, best accuracy, loss."""

import pandas as pd

from rps_bench.reports.statistics import interval_margin

# Column of `study.runs` -> name in the page.
METRICS = {"accuracy": "accuracy", "best_accuracy": "best", "loss": "loss"}


def measure_points(runs: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Return mean, `_std`, `_low` and `_high` of each metric, one row per row of `points`.

    `runs` are `study.runs` with the column `point`. The interval is the 95% t interval that
    `points` has for the last accuracy.
    """
    columns: dict[str, pd.Series[float]] = {}
    for column, name in METRICS.items():
        groups = runs.groupby("point")[column]
        mean, std = groups.mean(), groups.std()
        margin = interval_margin(std, groups.count())
        columns |= {
            name: mean,
            f"{name}_std": std,
            f"{name}_low": mean - margin,
            f"{name}_high": mean + margin,
        }
    return pd.DataFrame(columns).reindex(points.index)

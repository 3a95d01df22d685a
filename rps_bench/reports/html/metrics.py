"""The quantities that plots can show on the y axis: last accuracy, best accuracy, loss."""

import pandas as pd

from rps_bench.reports.analysis.statistics import interval_margin

# Column of `study.runs` -> name in the page.
METRICS = {"accuracy": "accuracy", "best_accuracy": "best", "loss": "loss"}


def measure_points(runs: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Mean, `_std`, `_low` and `_high` of each metric, one row per row of `points`.

    `runs` are `study.runs` with the column `point`. Low and high are the ends of the 95% t
    interval, computed as `points` has it for the last accuracy.
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

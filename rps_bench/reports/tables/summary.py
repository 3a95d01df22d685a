"""The summary: one row per point of a curve, with mean, spread and costs.

`summary.csv` is for programs, `summary.md` for reading, `summary.tex` for a paper.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rps_bench.core.atomic import write_text
from rps_bench.records.schema import FILE_ZSTD, UNRETRAINED_BYTES
from rps_bench.reports.analysis.classes import CLASS_MEASURES
from rps_bench.reports.tables.latex import write_latex
from rps_bench.reports.tables.markdown import write_markdown
from rps_bench.reports.tables.sections import group_experiments

if TYPE_CHECKING:
    from rps_bench.reports.analysis.results import Results

# Column of the summary -> column of the points.
COLUMNS = {
    "dataset": "dataset",
    "arch": "arch",
    "recipe": "recipe",
    "options": "experiment_options",
    "split": "evaluation_split",
    "protocol": "protocol",
    "image_size": "image_size",
    "planned_epochs": "planned_epochs",
    "weight_decay": "weight_decay",
    "precision": "precision",
    "kernels": "kernels",
    "method": "label",
    "compression": "compression",
    "true_compression": "true_compression",
    "n": "n",
    "mean": "mean",
    "std": "std",
    "low": "low",
    "high": "high",
    "diverged": "num_diverged",
    "failed": "num_failed",
    "stored_bytes": "stored_bytes",
    "macs": "macs",
    "effective_macs": "effective_macs",
    "epochs": "total_epochs",
}
# The same, where any point has such a value.
LATER_COLUMNS = {
    FILE_ZSTD: FILE_ZSTD,
    "mean_without_retraining": "unretrained_mean",
    "std_without_retraining": "unretrained_std",
    UNRETRAINED_BYTES: UNRETRAINED_BYTES,
    **{f"{key}_{what}": f"{key}_{what}" for key in CLASS_MEASURES for what in ("mean", "std")},
}


def summary_table(points: pd.DataFrame) -> pd.DataFrame:
    """The columns of `points` that readers want, one row per point, index unchanged.

    `mean`, sample `std` and the 95% t interval from `low` to `high` are of top-1 accuracy in
    percent over `n` seeds; `method` names non-default options; `epochs` counts all epochs spent to
    get one model, earlier trainings included, `planned_epochs` are the recipe's. `image_size` is of
    images averaged down. Unknown values are null.

    Where records tell them, there are also the bytes that zstd leaves of the file, and the accuracy
    (mean and std) and bytes of what was compressed after training, before it was trained again, and
    the accuracy (mean and std) of the worst class and of groups of classes.
    """
    later = {name: key for name, key in LATER_COLUMNS.items() if points[key].notna().any()}
    return pd.DataFrame({name: points[key] for name, key in (COLUMNS | later).items()})


def save_summary(results: "Results") -> list[Path]:
    """Write `summary.csv`, `.md` and `.tex` into the results folder; return the files."""
    summary = summary_table(results.points)
    experiments = group_experiments(results.points)
    texts = {
        "summary.csv": summary.to_csv(index=False, lineterminator="\n"),
        "summary.md": write_markdown(experiments),
        "summary.tex": write_latex(experiments),
    }
    return [write_text(results.results_dir / name, text) for name, text in texts.items()]

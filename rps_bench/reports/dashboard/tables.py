"""What the report run of a results folder shows: tables, claims, figures and report.html."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rps_bench.core.errors import UserError
from rps_bench.reports.analysis.pareto import pareto_frontier
from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.analysis.runs import EXPERIMENT_KEYS
from rps_bench.reports.tables.summary import summary_table

JOB_TYPE = "report"
PAGE_NAME = "report.html"
PARETO_TABLE, RUNS_TABLE, CLAIMS_TABLE = "pareto", "results", "claims"
_RESULTS = (
    "dataset", "arch", "recipe", "evaluation_split", "experiment_options", "protocol", "label",
    "compression", "true_compression", "seed", "status", "accuracy", "best_accuracy",
    "stored_bytes", "macs", "total_epochs", "total_train_seconds", "reason", "run_id",
)  # fmt: skip
_CLAIMS = (
    "statement", "verdict", "dataset", "arch", "recipe", "experiment_options", "protocol",
    "method", "rival", "compression", "difference", "low", "high", "n", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """What a report run shows.

    Attributes:
        name: Displayed name of the run.
        num_records: The number of records.
        tables: The tables by key, without missing values: they are None.
        figures: The files of the figures by key.
        page: report.html; None if it was not written.
    """

    name: str
    num_records: int
    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Path]
    page: Path | None

    def describe(self) -> str:
        """What it holds, in a few words."""
        page = f" and {PAGE_NAME}" if self.page else ""
        return f"tables of {self.num_records} runs, {len(self.figures)} figures{page}"


def collect(results_dir: str | Path) -> Contents:
    """The contents of the report run of a results folder.

    Args:
        results_dir: Holds ``records/``, and ``plots/`` and report.html if they were made.

    Raises:
        UserError: There is no record.
    """
    from rps_bench.reports.claims import judge_claims  # imports scipy.stats

    results = read_results(results_dir)
    if not results.records:
        raise UserError(f"no records under {results.results_dir / 'records'}: nothing to report")
    page = results.results_dir / PAGE_NAME
    tables = {
        PARETO_TABLE: pareto_table(results.points),
        RUNS_TABLE: results.runs[list(_RESULTS)],
        CLAIMS_TABLE: judge_claims(results)[list(_CLAIMS)],
    }
    return Contents(
        name=f"report of {results.results_dir.resolve().name}",
        num_records=len(results.records),
        tables={key: _without_gaps(table) for key, table in tables.items()},
        figures=find_figures(results.results_dir),
        page=page if page.is_file() else None,
    )


def find_figures(results_dir: Path) -> dict[str, Path]:
    """The file of each figure by its key on the dashboard."""
    return {f"figures/{path.stem}": path for path in sorted((results_dir / "plots").rglob("*.png"))}


def pareto_table(points: pd.DataFrame) -> pd.DataFrame:
    """The summary, with a column that marks the points on the frontier of their experiment.

    ``on_frontier`` compares compression and mean accuracy; a point without a mean is never on it.
    """
    best: set[object] = set()
    for _, group in points.groupby(EXPERIMENT_KEYS, dropna=False):
        known = group[group["mean"].notna()]
        pairs = list(zip(known["compression"], known["mean"], strict=True))
        frontier = pareto_frontier(pairs)
        best |= {row for row, pair in zip(known.index, pairs, strict=True) if pair in frontier}
    return summary_table(points).assign(on_frontier=points.index.isin(list(best)))


def _without_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with None for missing values, which dashboards take for a number otherwise."""
    return frame.astype(object).where(frame.notna(), None)

"""Studies made of arms: the runs of one method over several seeds."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rps_bench.reports.analysis.results import Results
from rps_bench.reports.analysis.runs import describe_runs
from rps_bench.reports.analysis.statistics import summarise_runs
from rps_bench.reports.analysis.table import build_table
from rps_bench.reports.claims import judge_claims
from rps_bench.reports.claims.evidence import Floats, standard_error

Records = list[dict[str, Any]]
MakeArm = Callable[..., Records]
MakeStudy = Callable[..., Results]
Judge = Callable[..., pd.DataFrame]

NO_STEP = math.nan


def sample_differences(
    differences: Floats, resolution: float = NO_STEP
) -> tuple[Floats, Floats, Floats]:
    """Mean, standard error and n along the last axis."""
    mean = differences.mean(axis=-1)
    n = np.full(mean.shape, float(differences.shape[-1]))
    deviation = differences.std(axis=-1, ddof=1)
    return mean, standard_error(deviation, n, np.full(mean.shape, resolution)), n


@pytest.fixture(name="make_arm")
def _make_arm(make_record: Callable[..., dict[str, Any]]) -> MakeArm:
    def make_arm(
        method: str, accuracies: Sequence[float | None], compression: float = 10.0, **changes: Any
    ) -> Records:
        """A run per seed 0, 1, ...; None is a run that diverged."""
        return [
            make_record(
                method,
                compression,
                seed,
                accuracy,
                "diverged" if accuracy is None else "completed",
                **({"label": method} | changes),
            )
            for seed, accuracy in enumerate(accuracies)
        ]

    return make_arm


@pytest.fixture(name="make_study")
def _make_study(tmp_path: Path) -> MakeStudy:
    def make_study(*arms: Records) -> Results:
        records = tuple(record for arm in arms for record in arm)
        table = build_table(records)
        runs = describe_runs(table)
        return Results(tmp_path, records, (), table, runs, summarise_runs(runs))

    return make_study


@pytest.fixture(name="judge")
def _judge(make_study: MakeStudy) -> Judge:
    def judge(claim: str, *arms: Records, **options: Any) -> pd.DataFrame:
        """The rows of one claim."""
        claims = judge_claims(make_study(*arms), **options)
        return claims[claims["claim"] == claim].reset_index(drop=True)

    return judge

"""Runs on imbalanced classes: a panel of their own that names it, with and without others."""

from typing import Any

import pytest

from rps_bench.reports.figures.panels import split_panels
from rps_bench.reports.figures.sheet import gather_sheets
from tests.reports.conftest import MakeRecord
from tests.reports.figures.conftest import make_study

WHOLE = {"num_train": 50_000, "is_partial": False}
FEW = {"num_train": 7749, "is_partial": True}


@pytest.fixture
def records(make_record: MakeRecord) -> dict[str, dict[str, Any]]:
    def make(imbalance: float | None, seed: int = 0, **changes: Any) -> dict[str, Any]:
        options = {"imbalance": imbalance} | (WHOLE if imbalance is None else FEW)
        return make_record(seed=seed, **({"dataset_options": options} | changes))

    failed = {"status": "failed", "dataset_options": {"imbalance": 100.0}}
    return {
        "old": make(None, dataset_options=WHOLE),
        "balanced": make(None, seed=1),
        "skewed": make(100.0),
        "skewed again": make(100.0, seed=1),
        "skewed once more": make(100.0, seed=2),
        "milder": make(10.0),
        "failed": make(100.0, seed=3, **failed),
    }


def test_balanced_and_imbalanced_runs_share_no_mean(records: dict[str, dict[str, Any]]) -> None:
    points = make_study(*records.values()).points.set_index("experiment_options")
    assert points["n"].to_dict() == {"": 2, "imbalance=10": 1, "imbalance=100": 3}
    assert points["num_failed"].to_dict() == {"": 0, "imbalance=10": 0, "imbalance=100": 1}


def test_imbalance_is_named_where_all_runs_have_it(records: dict[str, dict[str, Any]]) -> None:
    study = make_study(records["skewed"], records["skewed again"])
    assert study.points["experiment_options"].tolist() == ["imbalance=100"]
    (panel,) = split_panels(study)
    assert panel.stem == "cifar10-resnet20-quick-imbalance100"


def test_the_plain_name_is_for_balanced_runs(records: dict[str, dict[str, Any]]) -> None:
    panels = split_panels(make_study(*records.values()))
    stem = "cifar10-resnet20-quick"
    assert [panel.stem for panel in panels] == [
        stem, f"{stem}-imbalance10", f"{stem}-imbalance100",
    ]  # fmt: skip
    (sheet,) = gather_sheets(panels).values()
    assert [panel.stem for panel in sheet] == [stem]


def test_a_balanced_run_that_failed_stays_balanced(records: dict[str, dict[str, Any]]) -> None:
    failed = records["failed"] | {"run_id": "early"}
    failed["config"] = failed["config"] | {"dataset_options": {"imbalance": None}}
    points = make_study(records["skewed"], failed).points.set_index("experiment_options")
    assert points["num_failed"].to_dict() == {"": 1, "imbalance=100": 0}

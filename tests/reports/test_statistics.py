from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from rps_bench.reports import build_table, summarise

MakeRecord = Callable[..., dict[str, Any]]


def _summarise(*records: dict[str, Any]) -> pd.DataFrame:
    return summarise(build_table(records))


def test_mean_spread_and_counts_by_hand(make_record: MakeRecord) -> None:
    points = _summarise(
        make_record(seed=0, accuracy=80.0),
        make_record(seed=1, accuracy=82.0),
        make_record(seed=2, accuracy=84.0),
        make_record(seed=3, status="diverged"),
        make_record(seed=4, status="failed"),
    )
    assert len(points) == 1
    point = points.iloc[0]
    assert point["mean"] == pytest.approx(82.0)
    assert point["std"] == pytest.approx(2.0)  # sample: squares 4 + 0 + 4 over 3 - 1
    assert (point["n"], point["num_diverged"], point["num_failed"]) == (3, 1, 1)
    assert point["true_compression"] == pytest.approx(272_474 / 28_667)


def test_one_run_has_no_spread_and_divergence_no_mean(make_record: MakeRecord) -> None:
    points = _summarise(
        make_record(compression=10.0), make_record(compression=100.0, status="diverged")
    )
    assert points["n"].tolist() == [1, 0]
    assert points["std"].isna().all()
    assert points["mean"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"method_options": {"init_std": 0.1}},
        {"label": "mag (init_std=0.1)"},
        {"precision": "bf16"},
        {"recipe_options": {"epochs": 30}},
        {"recipe": "paper"},
        {"arch": "vgg11"},
        {"arch_options": {"width": 8}},
        {"dataset_options": {"fraction": 0.5}},
        {"evaluation_split": "validation"},
        {"compression": 11.0},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_variants_are_never_averaged(make_record: MakeRecord, changes: dict[str, Any]) -> None:
    default: dict[str, Any] = {
        "method_options": {"init_std": 0.04},
        "arch_options": {"width": 16},
        "dataset_options": {"fraction": 1.0},
    }
    points = _summarise(make_record(**default), make_record(**(default | changes)))
    assert len(points) == 2


def test_hardware_and_an_option_unknown_to_older_records_share_a_mean(
    make_record: MakeRecord,
) -> None:
    newer = make_record(seed=1, device="cuda", method_options={"new_option": 1})
    assert _summarise(make_record(seed=0), newer)["n"].tolist() == [2]


def test_labels_tell_curves_apart(make_record: MakeRecord) -> None:
    points = _summarise(
        make_record(method_options={"init_std": 0.04, "rounds": 1}),
        make_record(method_options={"init_std": 0.1, "rounds": 1}),
        make_record("snip", method_options={"rounds": 1}),
        make_record("rpg", label="rpg (init_std=0.1)", precision="bf16"),
    )
    assert points["label"].tolist() == [
        "mag (init_std=0.04, fp32)",
        "mag (init_std=0.1, fp32)",
        "rpg (init_std=0.1, bf16)",
        "snip (fp32)",
    ]


def test_validation_runs_are_summarised_by_their_own_accuracy(make_record: MakeRecord) -> None:
    record = make_record(evaluation_split="validation")
    record["metrics"] |= {"test_accuracy": 10.0, "validation_accuracy": 70.0}
    assert _summarise(record)["mean"].tolist() == [70.0]


def test_an_empty_table_has_no_points() -> None:
    assert _summarise().empty

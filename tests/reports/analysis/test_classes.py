"""Accuracy by class: measures by hand, means over seeds, and older records that tell none."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from rps_bench.reports.analysis.classes import divide_classes, measure_classes
from tests.reports.figures.conftest import make_study

MakeRecord = Callable[..., dict[str, Any]]

TAIL = [100, 50, 33, 25, 20, 17, 14, 12, 11, 10]
RIGHT = [9, 8, 10, 6, 5, 4, 3, 2, 0, 1]  # of ten images each


def counted(
    num_train: list[int], correct: list[int] | None, evaluated: list[int] | None = None
) -> dict[str, Any]:
    counts = {"num_train": num_train, "num_evaluated": evaluated or [10] * len(num_train)}
    return {"classes": counts | {"num_correct": correct}}


BY_HAND = [
    (
        counted(TAIL, RIGHT),
        {"worst_class": 0, "many_shot": 90, "medium_shot": 45, "few_shot": 10},
    ),
    (  # ranked by training images, not by index
        counted(TAIL[::-1], RIGHT[::-1]),
        {"worst_class": 0, "many_shot": 90, "medium_shot": 45, "few_shot": 10},
    ),
    (counted([20] * 10, RIGHT), {"worst_class": 0}),
    (counted([20] * 9 + [11], RIGHT), {"worst_class": 0}),  # as a random split may leave them
    (  # classes count alike, and the one without images not at all
        counted([90, 60, 30], [8, 2, 0], [10, 4, 0]),
        {"worst_class": 50, "many_shot": 80, "medium_shot": 50},
    ),
    (counted([20, 10], [8, 2]), {"worst_class": 20, "many_shot": 80, "few_shot": 20}),
    (counted([4, 0], [8, 2]), {"worst_class": 20, "many_shot": 80, "few_shot": 20}),
    (counted(TAIL, None), {}),  # diverged
    ({}, {}),  # older
]


@pytest.mark.parametrize(("record", "expected"), BY_HAND)
def test_measures_by_hand(record: dict[str, Any], expected: dict[str, float]) -> None:
    named = {f"{key}_accuracy": float(value) for key, value in expected.items()}
    assert measure_classes(record) == pytest.approx(named)


@pytest.mark.parametrize(
    ("num_classes", "sizes"), [(1, [0, 1, 0]), (2, [1, 0, 1]), (10, [3, 4, 3]), (200, [67, 66, 67])]
)
def test_groups_are_thirds_of_the_ranked_classes(num_classes: int, sizes: list[int]) -> None:
    groups = divide_classes([5] * num_classes)
    assert [len(group) for group in groups] == sizes
    assert [label for group in groups for label in group] == list(range(num_classes))


def test_means_are_of_all_seeds_or_none(make_record: MakeRecord) -> None:
    def make(method: str, seed: int, right: list[int] | None) -> dict[str, Any]:
        record = make_record(method, seed=seed)
        return record if right is None else record | counted(TAIL, right)

    better = [count + 2 * (label == 8) for label, count in enumerate(RIGHT)]
    study = make_study(
        *(make("mag", 0, RIGHT), make("mag", 1, better)),
        *(make("rand", 0, RIGHT), make("rand", 1, None)),
        make_record("snip"),
    )
    points = study.points.set_index("method")
    assert points.loc["mag", "worst_class_accuracy_mean"] == 5.0  # 0 and, then of another class, 10
    assert points.loc["mag", "worst_class_accuracy_std"] == pytest.approx(math.sqrt(50))
    assert points.loc["mag", "many_shot_accuracy_mean"] == 90.0
    for method in ("rand", "snip"):
        told = points.loc[[method], ["worst_class_accuracy_mean", "worst_class_accuracy_std"]]
        assert told.isna().all(axis=None)
    assert study.table["worst_class_accuracy"].notna().sum() == 3


def test_a_table_of_older_records_has_no_such_columns(make_record: MakeRecord) -> None:
    assert not [name for name in make_study(make_record()).table if "class" in str(name)]

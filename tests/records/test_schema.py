import copy
from typing import Any

import pytest

from rps_bench.records import RecordError, check_record, headline_accuracy, split_of


def _change(record: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(record)
    *blocks, key = path.split(".")
    target = changed
    for block in blocks:
        target = target[block]
    target[key] = value
    return changed


def test_a_good_record_passes(record: dict[str, Any]) -> None:
    check_record(record)


def test_unknown_keys_are_tolerated(record: dict[str, Any]) -> None:
    check_record(record | {"extra": 1, "config": record["config"] | {"new_option": [1, None]}})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema_version", 2, "schema_version is 2, this version reads 1"),
        ("run_id", "", "run_id must be a non-empty string"),
        ("status", "done", "status is 'done', allowed: completed, diverged, failed"),
        ("reason", 3, "reason must be a string or null"),
        ("config", [], "config must be a JSON object"),
        ("history", {}, "history must be a JSON list"),
        ("config.dataset", None, "config.dataset must be a non-empty string"),
        ("config.compression", 0.5, "config.compression is 0.5"),
        ("config.compression", None, "config.compression is None"),
        ("config.kernels", None, "config.kernels must be a string"),
        ("config.method_kind", 3, "config.method_kind must be a string or null"),
        ("config.seed", True, "config.seed is True"),
        ("config.method_options", [], "config.method_options must be a JSON object"),
        ("metrics.test_loss", "0.1", "metrics.test_loss is '0.1', must be a number or null"),
        ("metrics.test_loss", float("nan"), "metrics.test_loss is nan"),
        (
            "config.method_options",
            {"a": [1.0, float("inf")]},
            r"config.method_options.a\[1\] is inf",
        ),
        ("history", [{"epoch": "1"}], r"history\[0\].epoch is '1'"),
        ("metrics.test_accuracy", None, "metrics.test_accuracy is null in a completed record"),
        ("size.true_compression", None, "size.true_compression is null in a completed record"),
    ],
)
def test_the_first_wrong_thing_is_named(
    record: dict[str, Any], path: str, value: object, message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        check_record(_change(record, path, value))


@pytest.mark.parametrize("block", ["config", "metrics", "history", "size", "cost", "provenance"])
def test_a_missing_block_is_named(record: dict[str, Any], block: str) -> None:
    del record[block]
    with pytest.raises(RecordError, match=f"^{block} is missing"):
        check_record(record)


def test_a_missing_number_is_named(record: dict[str, Any]) -> None:
    del record["size"]["stored_bytes"]
    with pytest.raises(RecordError, match=r"size\.stored_bytes is missing"):
        check_record(record)


def test_a_failed_record_may_know_nothing(record: dict[str, Any]) -> None:
    for block in ("metrics", "size", "cost"):
        record[block] = dict.fromkeys(record[block])
    check_record(record | {"status": "failed", "reason": "out of memory", "history": []})


COUNTS = {"num_train": [30, 10], "num_evaluated": [100, 100], "num_correct": [99, 84]}  # 91.5%


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "classes must be a JSON object"),
        ({}, r"classes\.num_train must be a list of whole numbers, one for each class"),
        ({"num_train": [1, -1]}, r"classes\.num_train must be a list"),
        ({"num_train": [1, True]}, r"classes\.num_train must be a list"),
        (COUNTS | {"num_evaluated": [200]}, r"classes\.num_evaluated must be a list"),
        (COUNTS | {"num_correct": [99.0, 84]}, r"classes\.num_correct must be a list"),
        (COUNTS | {"num_correct": [101, 82]}, "exceeds classes.num_evaluated"),
        (COUNTS | {"num_correct": [99, 85]}, "does not give the accuracy in metrics"),
        (COUNTS | {"num_evaluated": [0, 0], "num_correct": [0, 0]}, "does not give the accuracy"),
    ],
)
def test_counts_by_class_must_fit(record: dict[str, Any], classes: object, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        check_record(record | {"classes": classes})


@pytest.mark.parametrize("classes", [COUNTS, COUNTS | {"num_correct": None}])
def test_counts_by_class_may_be_there(record: dict[str, Any], classes: dict[str, Any]) -> None:
    check_record(record | {"classes": classes})


def test_a_list_is_no_record() -> None:
    with pytest.raises(RecordError, match="a record is a JSON object, not list"):
        check_record([])


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        ({}, ("test_accuracy", "best_test_accuracy", "test_loss")),
        ({"evaluation_split": None}, ("test_accuracy", "best_test_accuracy", "test_loss")),
        ({"evaluation_split": "test"}, ("test_accuracy", "best_test_accuracy", "test_loss")),
        (
            {"evaluation_split": "validation"},
            ("validation_accuracy", "best_validation_accuracy", "validation_loss"),
        ),
    ],
)
def test_the_split_of_a_record_names_its_numbers(
    record: dict[str, Any], config: dict[str, Any], keys: tuple[str, str, str]
) -> None:
    split = split_of(config)
    assert split.keys == keys
    measured = {"epoch": 1, "accuracy": 12.5, "best_accuracy": 25.0, "loss": 2.0, "train_loss": 3.0}
    renamed = split.rename(measured)
    assert renamed == {
        "epoch": 1,
        **dict(zip(keys, (12.5, 25.0, 2.0), strict=True)),
        "train_loss": 3.0,
    }
    settings = {key: value for key, value in record["config"].items() if key != "evaluation_split"}
    whole = record | {"config": settings | config, "metrics": record["metrics"] | renamed}
    check_record(whole)
    assert headline_accuracy(whole) == 12.5

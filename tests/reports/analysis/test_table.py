import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.records import write_record
from rps_bench.reports import Results, build_table, read_results
from rps_bench.reports.analysis.table import COLUMNS
from rps_bench.reports.tables.results import save_table

MakeRecord = Callable[..., dict[str, Any]]


def test_the_exact_row_of_a_record(make_record: MakeRecord) -> None:
    record = make_record(
        "stable_rps", 10.0, seed=2, accuracy=88.25, method_options={"init_std": 0.04}
    )
    table = build_table([record])
    assert tuple(table.columns) == (
        *COLUMNS, "method.init_std", "recipe.drops", "recipe.epochs", "versions.torch"
    )  # fmt: skip
    row = table.iloc[0]
    assert row.dropna().to_dict() == {
        "run_id": record["run_id"], "status": "completed", "dataset": "cifar10",
        "arch": "resnet20", "method": "stable_rps", "method_kind": "sharing",
        "label": "stable_rps", "compression": 10.0, "seed": 2, "recipe": "quick",
        "evaluation_split": "test", "protocol": "fixed", "precision": "fp32", "kernels": "plain",
        "device": "cpu", "epochs": 3,
        "test_accuracy": 88.25, "best_test_accuracy": 88.25,
        "test_loss": 0.5, "train_loss": 0.25, "dense_weights": 270_896, "stored_weights": 27_089,
        "dense_total": 272_474, "stored_total": 28_667, "true_compression": 272_474 / 28_667,
        "stored_bytes": 114_668, "train_seconds": 30.0, "images_per_second": 1000.0,
        "macs": 40_813_184, "started_at": "2026-11-20T10:00:00+00:00", "git_commit": "0123abc",
        "cpu_model": "Test CPU", "cpu_count": 2, "method.init_std": 0.04,
        "recipe.drops": "[1, 2]", "recipe.epochs": 3, "versions.torch": "2.15.0",
    }  # fmt: skip


def test_order_of_rows_and_columns_does_not_depend_on_the_records(
    sweep: list[dict[str, Any]],
) -> None:
    first, second = build_table(sweep), build_table(sweep[::-1])
    pd.testing.assert_frame_equal(first, second)


def test_a_failed_run_keeps_its_row_with_nulls(make_record: MakeRecord) -> None:
    failed = copy.deepcopy(make_record(status="failed", seed=1))
    for block in ("metrics", "size", "cost"):
        failed[block] = dict.fromkeys(failed[block])
    failed["history"] = []
    table = build_table([failed, make_record(seed=0)])
    assert table["status"].tolist() == ["completed", "failed"]
    assert table["reason"][1] == "failed at epoch 1"
    assert pd.isna(table["test_accuracy"][1])
    assert table["stored_weights"].tolist()[0] == 27_089
    assert pd.isna(table["stored_weights"][1])


def test_whole_numbers_stay_whole_beside_a_null(tmp_path: Path, make_record: MakeRecord) -> None:
    wide = make_record(seed=1, arch_options={"width": 8})
    write_record(tmp_path, make_record(seed=0, arch_options={"width": None}))
    write_record(tmp_path, wide)
    path, parquet = save_table(read_results(tmp_path))
    assert (path, parquet) == (tmp_path / "table.csv", tmp_path / "table.parquet")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].split(",")[:4] == ["run_id", "status", "reason", "dataset"]
    read = pd.read_csv(path, dtype=str)
    assert read["arch.width"].fillna("").tolist() == ["", "8"]
    assert read["stored_weights"].tolist() == ["27089", "27089"]
    assert read["compression"].tolist() == ["10.0", "10.0"]


def test_no_records_give_an_empty_table() -> None:
    table = build_table([])
    assert table.empty
    assert tuple(table.columns) == COLUMNS


@pytest.mark.parametrize("value", [True, "text", 1.5, 7, None, [1], {"deep": 1}])
def test_any_option_type_finds_a_column(make_record: MakeRecord, value: object) -> None:
    table = build_table(
        [make_record(seed=0, method_options={"option": value}), make_record(seed=1)]
    )
    columns = [column for column in table if str(column).startswith("method.")]
    assert columns == ["method.option.deep" if isinstance(value, dict) else "method.option"]
    assert pd.isna(table[columns[0]][1])


def test_csv_and_parquet_hold_the_same_rows(small_study: Results) -> None:
    csv, parquet = save_table(small_study)
    packed = pd.read_parquet(parquet)
    pd.testing.assert_frame_equal(packed, small_study.table)
    assert str(packed["stored_bytes"].dtype) == "Int64"
    assert packed["git_dirty"].tolist() == [False] * 15
    text = packed.to_csv(index=False, lineterminator="\n")
    assert text == csv.read_text(encoding="utf-8")
    assert len(packed) == 15


def test_the_files_repeat_exactly(small_study: Results) -> None:
    first = [path.read_bytes() for path in save_table(small_study)]
    assert [path.read_bytes() for path in save_table(small_study)] == first


def test_an_empty_study_can_be_saved(tmp_path: Path) -> None:
    _, parquet = save_table(read_results(tmp_path))
    assert tuple(pd.read_parquet(parquet).columns) == COLUMNS


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((1, "a"), ["1", "a"]),
        ((True, 1), ["true", "1"]),
        ((False, 0.5), ["false", "0.5"]),
        (([1], None), ["[1]", None]),
    ],
)
def test_an_option_of_several_types_is_text_in_both_files(
    tmp_path: Path, make_record: MakeRecord, values: tuple[object, ...], texts: list[object]
) -> None:
    for seed, value in enumerate(values):
        write_record(tmp_path, make_record(seed=seed, method_options={"option": value}))
    study = read_results(tmp_path)
    column = study.table["method.option"]
    assert [None if pd.isna(value) else value for value in column] == texts
    save_table(study)


def test_odd_numbers_do_not_stop_the_table(make_record: MakeRecord) -> None:
    record = make_record(seed=2**63, method_options={"huge": 2**70})
    record["cost"] |= {"effective_macs": "many", "peak_memory_bytes": 1.5}
    record["provenance"] |= {"git_dirty": "perhaps", "cpu_count": True}
    row = build_table([record]).iloc[0]
    assert (row["seed"], row["method.huge"], row["peak_memory_bytes"]) == (2.0**63, 2.0**70, 1.5)
    assert row[["effective_macs", "git_dirty", "cpu_count"]].isna().all()


def test_types_do_not_depend_on_what_is_known(make_record: MakeRecord) -> None:
    known = make_record(provenance={"git_dirty": True, "gpu_name": "Some GPU", "num_threads": 2})
    whole, unknown = make_record(accuracy=80, compression=10), make_record(status="failed")
    for block in ("metrics", "size", "cost", "provenance"):
        unknown[block] = dict.fromkeys(unknown[block])
    names = list(COLUMNS)
    types = build_table([known])[names].dtypes
    assert types.equals(build_table([whole])[names].dtypes)
    assert types.equals(build_table([unknown])[names].dtypes)

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from rps_bench.records import (
    RecordError,
    find_record,
    read_records,
    record_path,
    write_record,
)


def test_round_trip(tmp_path: Path, record: dict[str, Any]) -> None:
    path = write_record(tmp_path, record)
    assert path == tmp_path / "records/digits/resnet20/stable_rps-c10-s0-1a2b3c.json"
    assert find_record(tmp_path, "digits", "resnet20", record["run_id"]) == record
    assert read_records(tmp_path) == ((record,), ())


def test_the_file_reads_well_in_a_diff(tmp_path: Path, record: dict[str, Any]) -> None:
    text = write_record(tmp_path, record).read_text(encoding="utf-8")
    assert text.startswith('{\n  "schema_version": 1,\n  "run_id"')
    assert text.endswith("}\n")


def test_nothing_recorded_yet(tmp_path: Path) -> None:
    assert find_record(tmp_path, "digits", "resnet20", "x") is None
    assert read_records(tmp_path / "absent") == ((), ())


def test_a_crash_while_writing_leaves_the_old_record(
    tmp_path: Path, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_record(tmp_path, record)

    def crash(*_: object) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, "replace", crash)
    newer = copy.deepcopy(record)
    newer["metrics"]["test_accuracy"] = 1.0
    with pytest.raises(OSError, match="power cut"):
        write_record(tmp_path, newer)
    assert json.loads(path.read_text()) == record
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_left_over_temporary_file_is_ignored(tmp_path: Path, record: dict[str, Any]) -> None:
    path = write_record(tmp_path, record)
    (path.parent / ".0011223344556677.tmp").write_text("{")
    (path.parent / ".hidden.json").write_text("{")
    assert read_records(tmp_path) == ((record,), ())


def test_nan_is_never_written(tmp_path: Path, record: dict[str, Any]) -> None:
    record["metrics"]["train_loss"] = float("nan")
    with pytest.raises(RecordError, match=r"metrics\.train_loss is nan"):
        write_record(tmp_path, record)
    assert not list(tmp_path.iterdir())


def test_broken_files_are_named_and_skipped(tmp_path: Path, record: dict[str, Any]) -> None:
    folder = write_record(tmp_path, record).parent
    (folder / "a.json").write_text('{"run_id": ')
    (folder / "b.json").write_text('{"loss": NaN}')
    (folder / "c.json").write_text("[]")
    (folder / "d.json").write_bytes(b'"\xff"')
    (folder / "e.json").symlink_to(folder / "absent")
    records, problems = read_records(tmp_path)
    assert records == (record,)
    assert [problem.path.name for problem in problems] == ["a.json", "b.json", "c.json", "d.json"]
    assert problems[0].reason.startswith("not valid JSON (")
    assert problems[1].reason == "holds NaN, which is not JSON; use null where unknown"
    assert problems[2].reason == "a record is a JSON object, not list"
    assert problems[3].reason.startswith("not valid JSON (")


def test_records_come_in_path_order(tmp_path: Path, record: dict[str, Any]) -> None:
    for run_id in ("b", "a", "c"):
        write_record(tmp_path, record | {"run_id": run_id})
    assert [found["run_id"] for found in read_records(tmp_path)[0]] == ["a", "b", "c"]


def test_a_broken_record_is_not_overwritten_unseen(tmp_path: Path) -> None:
    path = record_path(tmp_path, "digits", "resnet20", "x")
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(RecordError, match=r"x\.json: not valid JSON .*; mend or delete the file"):
        find_record(tmp_path, "digits", "resnet20", "x")


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../x", "/etc", "a\\b", "a b", "-x", "a\n"])
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    for names in ((name, "a", "r"), ("d", name, "r"), ("d", "a", name)):
        with pytest.raises(RecordError, match="cannot name a file"):
            record_path(tmp_path, *names)


def test_half_a_character_is_refused_and_a_whole_one_kept(
    tmp_path: Path, record: dict[str, Any]
) -> None:
    path = write_record(tmp_path, record)
    whole = json.dumps(record | {"reason": "\U0001f600"})
    assert "\\ud83d\\ude00" in whole
    path.write_text(whole)
    assert read_records(tmp_path)[0][0]["reason"] == "\U0001f600"
    path.write_text(json.dumps(record | {"reason": "\ud800"}))
    records, (problem,) = read_records(tmp_path)
    assert not records
    assert problem.reason.startswith("not valid JSON (")

"""A disk that is full, read-only or gone: one line, nothing torn, and the same command goes on.

Real disks where the tests may mount one; elsewhere the largest size of a file that the system
allows stands for a full disk.
"""

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rps_bench.core.atomic import TEMPORARY_SUFFIX
from rps_bench.launch.jobs import work_through
from rps_bench.records import read_records
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.checkpoints import Checkpoints
from tests.conftest import Command, Disk

TINY = (
    *("method=mag", "recipe=smoke", "recipe.max_steps_per_epoch=2"),
    *("arch.width=2", "device=cpu", "precision=fp32"),
)
FULL, READ_ONLY = "No space left on device", "Read-only file system"

Errors = pytest.CaptureFixture[str]


def outcomes_in(folder: Path) -> dict[float, Any]:
    """Compression -> what a run gave, without times."""
    records, problems = read_records(folder)
    assert not problems
    return {r["config"]["compression"]: (r["status"], r["metrics"]) for r in records}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Any]:
    """What a run at 4x gives where nothing happens to it."""
    results = tmp_path_factory.mktemp("undisturbed")
    words = [*TINY, "compression=4", f"results_dir={results}"]
    work_through(plan_runs(words, is_sweep=False).configs)
    return outcomes_in(results)


def files_in(folder: Path) -> list[str]:
    """Names of all files but locks, which stay where a run did not end."""
    paths = sorted(path.name for path in folder.rglob("*") if path.is_file())
    return [name for name in paths if not name.endswith(".lock") and name != "others"]


def the_lines(capsys: Errors) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("rps_bench: error: ") for line in lines), lines
    return lines


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """Let no file grow beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def after_epoch(patch: pytest.MonkeyPatch, happen: Callable[[], object]) -> None:
    """Let something happen once, when the first checkpoint is written."""
    keep, happened = Checkpoints.keep_partial, list[bool]()

    def keep_and_happen(self: Checkpoints, *arguments: Any) -> None:
        keep(self, *arguments)
        if not happened:
            happened.append(True)
            happen()

    patch.setattr(Checkpoints, "keep_partial", keep_and_happen)


@pytest.mark.parametrize("limit", [0, 20_000], ids=["nothing", "records only"])
def test_every_run_is_tried_and_goes_on_later(
    limit: int, command: Command, expected: dict[float, Any], tmp_path: Path, capsys: Errors
) -> None:
    words = ("-m", *TINY, "compression=4,8")
    with largest_file(limit):
        assert command(*words) == 1
    results = tmp_path / "results"
    lines = the_lines(capsys)
    assert len(lines) == 2
    for line, compression in zip(lines, ("4x", "8x"), strict=True):
        assert f"mag-{compression}-" in line
        assert f"{results.name}/checkpoints/" in line
        assert line.endswith("File too large; the same command goes on once that is mended")
    statuses = [status for status, _ in outcomes_in(results).values()]
    assert statuses == ([] if limit == 0 else ["failed", "failed"])
    assert not [name for name in files_in(results) if name.endswith(TEMPORARY_SUFFIX)]
    assert command(*words) == 0
    assert outcomes_in(results)[4.0] == expected[4.0]


def test_a_failure_tells_no_path(command: Command, tmp_path: Path, capsys: Errors) -> None:
    with largest_file(20_000):
        assert command(*TINY, f"results_dir={tmp_path}/mine") == 1
    ((record,), _) = read_records(tmp_path / "mine")
    assert record["reason"] == "OSError: File too large"
    assert str(tmp_path) not in json.dumps(record)


def test_a_kept_record_outlives_a_failure_to_add_its_model(
    command: Command, tmp_path: Path, capsys: Errors
) -> None:
    """The run is done again for its file; while that fails the earlier record must stay."""
    assert command(*TINY) == 0
    before = outcomes_in(tmp_path / "results")
    with largest_file(0):
        assert command(*TINY, "keep_model=true") == 1
    assert outcomes_in(tmp_path / "results") == before
    assert command(*TINY, "keep_model=true") == 0
    assert len(list((tmp_path / "results" / "models").rglob("*.safetensors"))) == 1


@pytest.mark.parametrize("what", ["records", "models"])
def test_a_disk_that_fills_up_during_a_run(
    what: str,
    small_disk: Disk,
    command: Command,
    expected: dict[float, Any],
    capsys: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep_model = f"keep_model={str(what == 'models').lower()}"
    words = (*TINY, "compression=4", f"results_dir={small_disk.folder}", keep_model)
    with monkeypatch.context() as patch:
        after_epoch(patch, small_disk.fill)
        assert command(*words) == 1
    (line,) = the_lines(capsys)
    assert f"{small_disk.folder}/{what}/" in line
    assert FULL in line
    (checkpoint,) = files_in(small_disk.folder)
    assert checkpoint.endswith(".partial.safetensors")
    small_disk.make_room()
    assert command(*words) == 0
    out = capsys.readouterr().out
    assert "epoch 1/2" not in out, "the run went on after its first epoch"
    assert outcomes_in(small_disk.folder) == expected
    assert len(files_in(small_disk.folder)) == 1 + (what == "models"), "nothing else is left"


def test_a_disk_without_room_for_another_file(
    small_disk: Disk, command: Command, expected: dict[float, Any], capsys: Errors
) -> None:
    small_disk.allow_files(8)
    words = (*TINY, "compression=4", f"results_dir={small_disk.folder}")
    assert command(*words) == 1
    (line,) = the_lines(capsys)
    assert FULL in line
    assert str(small_disk.folder) in line
    small_disk.allow_files(100)
    assert command(*words) == 0
    assert outcomes_in(small_disk.folder) == expected


def test_a_disk_that_becomes_read_only(
    small_disk: Disk,
    command: Command,
    expected: dict[float, Any],
    capsys: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("-m", *TINY, "compression=4,8", f"results_dir={small_disk.folder}")
    with monkeypatch.context() as patch:
        after_epoch(patch, small_disk.cover)
        assert command(*words) == 1
    first, second = the_lines(capsys)
    assert (READ_ONLY in first, READ_ONLY in second) == (True, True)
    assert command(*words) == 2
    (line,) = the_lines(capsys)
    assert f"results_dir {small_disk.folder} cannot be written ({READ_ONLY})" in line
    small_disk.take_away()
    assert command(*words) == 0
    assert outcomes_in(small_disk.folder)[4.0] == expected[4.0]


@pytest.mark.parametrize("how", ["deleted", "unmounted"])
def test_a_folder_that_vanishes_is_made_again(
    how: str,
    command: Command,
    expected: dict[float, Any],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if how == "unmounted":
        disk: Disk = request.getfixturevalue("small_disk")
        results, vanish = disk.folder / "results", disk.take_away
    else:
        results = tmp_path / "results"
        vanish = lambda: shutil.rmtree(results)  # noqa: E731
    with monkeypatch.context() as patch:
        after_epoch(patch, vanish)
        assert command(*TINY, "compression=4", f"results_dir={results}") == 0
    assert outcomes_in(results) == expected


def test_a_folder_that_cannot_be_made_again(
    command: Command, tmp_path: Path, capsys: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"

    def replace() -> None:
        shutil.rmtree(results)
        results.write_text("a file")

    with monkeypatch.context() as patch:
        after_epoch(patch, replace)
        assert command(*TINY, "compression=4") == 1
    (line,) = the_lines(capsys)
    assert "results/records/" in line
    assert "Not a directory" in line or "File exists" in line
    assert results.read_text() == "a file"

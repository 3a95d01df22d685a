"""Whatever happens to wandb, a run loses one line on the terminal, no epoch, and no time."""

import os
import re
import signal
from pathlib import Path

import pytest

from rps_bench.tracking import Tracker, build_tracker
from rps_bench.tracking.weights_and_biases import tracker as weights_and_biases
from rps_bench.tracking.weights_and_biases import worker_process
from rps_bench.tracking.weights_and_biases.journal import find_journals, take_journal
from rps_bench.tracking.weights_and_biases.tracker import WandbTracker
from tests.conftest import Disk
from tests.patience import wait_until
from tests.tracking.conftest import WandbFolder, describe, epoch, make_record

RUN_ID = "digits-resnet20-mag-10x-smoke-s0"
Errors = pytest.CaptureFixture[str]


def begin(folder: Path, **options: str) -> WandbTracker:
    tracker = build_tracker("wandb", **options)
    assert isinstance(tracker, WandbTracker)
    tracker.start(describe(folder))
    tracker.log_epoch(0, epoch(1))
    return tracker


def finish(tracker: Tracker, folder: Path) -> None:
    with tracker:
        tracker.log_epoch(0, epoch(2))
        tracker.finish(make_record(describe(folder)))
        tracker.log_epoch(0, epoch(3))


def the_one_line(capfd: Errors) -> str:
    captured = capfd.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"rps_bench: W&B: {RUN_ID}: ")
    return line


def worker_pid(tracker: WandbTracker) -> int:
    assert tracker._worker is not None
    return tracker._worker.pid


def test_a_folder_that_cannot_be_made(tmp_path: Path, capfd: Errors) -> None:
    (tmp_path / "wandb").write_text("a file")
    finish(begin(tmp_path), tmp_path)
    line = the_one_line(capfd)
    assert f"{tmp_path / 'wandb'}: File exists" in line
    assert line.endswith("training goes on without W&B, the record is complete without it")
    assert [path.name for path in tmp_path.iterdir()] == ["wandb"]


def test_a_disk_that_fills_up_during_the_run(small_disk: Disk, capfd: Errors) -> None:
    tracker = begin(small_disk.folder)
    wait_until(WandbFolder(small_disk.folder).runs, "the run")
    small_disk.fill()
    finish(tracker, small_disk.folder)
    assert "No space left on device" in the_one_line(capfd)


def test_the_service_of_wandb_is_killed(tmp_path: Path, capfd: Errors) -> None:
    tracker = begin(tmp_path)
    wait_until(WandbFolder(tmp_path).runs, "the run")
    with open(f"/proc/{worker_pid(tracker)}/task/{worker_pid(tracker)}/children") as file:
        (service,) = map(int, file.read().split())
    os.kill(service, signal.SIGKILL)
    finish(tracker, tmp_path)
    assert re.search("[Cc]onnection|service", the_one_line(capfd))


def test_the_worker_is_killed(tmp_path: Path, capfd: Errors) -> None:
    tracker = begin(tmp_path)
    os.kill(worker_pid(tracker), signal.SIGKILL)
    finish(tracker, tmp_path)
    assert "its process ended with status -9" in the_one_line(capfd)


def test_a_worker_that_hangs_is_ended(
    tmp_path: Path, capfd: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "QUIET_SECONDS", 0.5)
    tracker = begin(tmp_path)
    pid = worker_pid(tracker)
    os.kill(pid, signal.SIGSTOP)
    finish(tracker, tmp_path)
    line = the_one_line(capfd)
    assert "no sign of life for 0.5 s" in line
    assert line.endswith(f"its epochs wait for: python -m rps_bench.tracking sync {tmp_path}")
    assert not Path(f"/proc/{pid}").exists()


def test_a_worker_that_does_not_listen_holds_up_no_epoch(tmp_path: Path, capfd: Errors) -> None:
    """More epochs than the pipe has room for bytes; once the worker goes on it gets them all."""
    tracker = begin(tmp_path, mode="offline")
    pid = worker_pid(tracker)
    os.kill(pid, signal.SIGSTOP)
    assert tracker._worker is not None
    for _ in range(70_000):
        tracker._worker.ring()
    os.kill(pid, signal.SIGCONT)
    finish(tracker, tmp_path)
    assert capfd.readouterr() == ("", "")
    (run,) = WandbFolder(tmp_path).runs()
    assert [row["epoch"] for row in WandbFolder(tmp_path).history(run)] == [1, 2]


def test_an_interrupted_command_leaves_and_its_worker_goes_on(
    tmp_path: Path, capfd: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "LEAVE_SECONDS", 0.0)
    tracker = begin(tmp_path)
    pid = worker_pid(tracker)
    os.kill(pid, signal.SIGSTOP)
    tracker.close()
    (journal,) = find_journals(tmp_path / "wandb")
    assert take_journal(journal) is None  # nobody else sends what the worker will
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the worker's end")
    assert not journal.exists()
    (run,) = WandbFolder(tmp_path).runs()
    assert WandbFolder(tmp_path).summary(run)["summary"]["status"] == "interrupted"
    assert capfd.readouterr() == ("", "")


def test_an_interpreter_that_cannot_be_started(
    tmp_path: Path, capfd: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "missing"))
    finish(begin(tmp_path), tmp_path)
    assert "no process for it (No such file or directory)" in the_one_line(capfd)


@pytest.mark.usefixtures("no_server")
def test_without_a_server_the_run_is_written_offline(
    tmp_path: Path, capfd: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_and_biases, "CONNECT_SECONDS", 1.0)
    finish(begin(tmp_path), tmp_path)
    line = the_one_line(capfd)
    assert "no run online (" in line
    assert line.endswith(f"to be sent by: python -m rps_bench.tracking sync {tmp_path}")
    (run,) = WandbFolder(tmp_path).runs()
    assert WandbFolder(tmp_path).summary(run)["summary"]["accuracy"] == 79


def test_a_key_that_is_none(tmp_path: Path, capfd: Errors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    finish(begin(tmp_path), tmp_path)
    assert "no run online (AuthenticationError: " in the_one_line(capfd)
    assert len(WandbFolder(tmp_path).runs()) == 1


def test_a_user_who_switched_wandb_off_gets_nothing(
    tmp_path: Path, capfd: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    finish(begin(tmp_path), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert WandbFolder(tmp_path).runs() == []


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    tracker = begin(tmp_path / "results")
    assert len(list(scratch.iterdir())) == 1
    os.kill(worker_pid(tracker), signal.SIGKILL)
    finish(tracker, tmp_path / "results")
    assert list(scratch.iterdir()) == []


def test_a_run_that_was_told_leaves_no_journal(tmp_path: Path) -> None:
    finish(begin(tmp_path), tmp_path)
    assert find_journals(tmp_path / "wandb") == []

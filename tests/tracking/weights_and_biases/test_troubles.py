"""Whatever happens to wandb, a run loses one line on the terminal, no epoch, and no time."""

import os
import re
import signal
from pathlib import Path

import pytest

from rps_bench.tracking import Tracker, build_tracker
from rps_bench.tracking.weights_and_biases import tracker as weights_and_biases
from rps_bench.tracking.weights_and_biases.tracker import WandbTracker
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


def test_the_service_of_wandb_is_killed(tmp_path: Path, capfd: Errors) -> None:
    tracker = begin(tmp_path)
    wait_until(WandbFolder(tmp_path).runs, "the run")
    with open(f"/proc/{worker_pid(tracker)}/task/{worker_pid(tracker)}/children") as file:
        (service,) = map(int, file.read().split())
    os.kill(service, signal.SIGKILL)
    finish(tracker, tmp_path)
    assert re.search("[Cc]onnection|service", the_one_line(capfd))


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

"""With a login: what a server gets from runs, from sending offline runs, and from publishing."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rps_bench.tracking import build_tracker
from rps_bench.tracking.describe import epoch_values
from rps_bench.tracking.relay.journal import find_journals, open_journal
from rps_bench.tracking.weights_and_biases.tracker import WandbTracker
from tests.tracking.conftest import (
    DASHBOARD,
    Cli,
    WandbFolder,
    command_line,
    describe,
    epoch,
    make_record,
)
from tests.tracking.weights_and_biases.fake_server import FakeServer, serve


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server, and a login for it."""
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        yield server


def train(folder: Path, epochs: Sequence[int], is_last: bool = True, **options: str) -> None:
    run = describe(folder)
    with build_tracker("wandb", **options) as tracker:
        tracker.start(run)
        for number in epochs:
            tracker.log_epoch(0, epoch(number))
        if is_last:
            tracker.finish(make_record(run))


def test_a_run_goes_online_and_its_resumed_curve_goes_on(
    server: FakeServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Epoch 2 is done twice, as after a kill between an epoch and its checkpoint."""
    train(tmp_path, [1, 2], is_last=False)
    assert server.exit_codes == [1]
    assert server.summary["status"] == "interrupted"
    train(tmp_path, [2, 3, 4])
    assert [row["epoch"] for row in server.rows] == [1, 2, 3, 4]
    assert [row["_step"] for row in server.rows] == [1, 2, 3, 4]
    assert server.exit_codes == [1, 0]
    assert (server.summary["status"], server.summary["accuracy"]) == ("completed", 79)
    opened = server.asked("UpsertBucket")[0]
    assert (opened["groupName"], opened["jobType"]) == ("digits-resnet20-smoke", "mag")
    assert opened["displayName"] == "mag-10x-s0"
    assert json.loads(opened["config"])["recipe_epochs"] == {"value": 4}
    assert WandbFolder(tmp_path).runs() == []
    assert capfd.readouterr() == ("", "")


def test_offline_runs_are_sent_once(server: FakeServer, tmp_path: Path, cli: Cli) -> None:
    train(tmp_path / "results", [1, 2], is_last=False, mode="offline")
    train(tmp_path / "results", [2, 3, 4], mode="offline")
    assert server.rows == []
    done = cli("sync", "results")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sent 2 of 2 runs under results/wandb\n"
    assert [row["epoch"] for row in server.rows] == [1, 2, 3, 4]
    assert server.summary["status"] == "completed"
    again = cli("sync", "results")
    assert (again.returncode, again.stdout) == (0, "nothing to send under results/wandb\n")


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_the_epochs_of_a_run_whose_worker_was_killed_are_sent_later(
    mode: str, server: FakeServer, tmp_path: Path, cli: Cli, capfd: pytest.CaptureFixture[str]
) -> None:
    run = describe(tmp_path / "results")
    with build_tracker("wandb", mode=mode) as tracker:
        assert isinstance(tracker, WandbTracker)
        tracker.start(run)
        assert tracker._worker is not None
        os.kill(tracker._worker.pid, signal.SIGKILL)
        for number in (1, 2, 3, 4):
            tracker.log_epoch(0, epoch(number))
        tracker.finish(make_record(run))
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith(f"wait for: python -m rps_bench.tracking sync {tmp_path / 'results'}")
    assert server.rows == []
    done = cli("sync", "results")
    assert (done.returncode, done.stdout) == (0, "sent 1 of 1 runs under results/wandb\n")
    assert [row["epoch"] for row in server.rows] == [1, 2, 3, 4]
    assert (server.summary["status"], server.exit_codes) == ("completed", [0])
    assert cli("sync", "results").stdout == "nothing to send under results/wandb\n"


def test_a_resumed_run_first_tells_what_the_killed_command_could_not(
    server: FakeServer, tmp_path: Path
) -> None:
    """Worker and run are killed at once, in the middle of a line; epoch 2 is done again."""
    journal = open_journal(tmp_path / "wandb", describe(tmp_path).run_id)
    tracker = WandbTracker()
    journal.append(tracker.opening(describe(tmp_path)))
    for number in (1, 2):
        values = epoch_values(0, epoch(number), describe(tmp_path))
        journal.append({"kind": "log", "values": values})
    os.write(journal.fileno(), b'{"kind": "lo')
    journal.close()
    train(tmp_path, [2, 3, 4])
    assert [row["epoch"] for row in server.rows] == [1, 2, 3, 4]
    assert (server.summary["status"], server.exit_codes) == ("completed", [0])
    assert find_journals(tmp_path / "wandb") == []


def test_the_views_are_published(server: FakeServer, tmp_path: Path) -> None:
    done = command_line(DASHBOARD, tmp_path)("views", "results", "--publish", "--project", "p")
    assert done.returncode == 0, done.stderr
    assert [line.split("?")[0] for line in done.stdout.splitlines()] == [f"{server.url}/me/p"] * 2
    sent = server.asked("UpsertView2")
    assert [view["displayName"] for view in sent] == ["p: results", "p: diverged runs"]
    assert {(view["entityName"], view["projectName"]) for view in sent} == {("me", "p")}
    assert "drawn_accuracy" in sent[0]["spec"]


def test_a_server_that_talks_nonsense_is_one_line(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "answer", lambda name, variables: {"data": None})
    done = command_line(DASHBOARD, tmp_path)("views", "results", "--publish", "--entity", "me")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("rps_bench: error: W&B: ")
    assert "Traceback" not in done.stderr

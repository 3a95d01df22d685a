"""With a login: what a server gets from runs, from sending offline runs, and from publishing."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rps_bench.tracking import build_tracker
from tests.tracking.conftest import Cli, WandbFolder, describe, epoch, make_record
from tests.tracking.fake_server import FakeServer, serve


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


def test_the_views_are_published(server: FakeServer, cli: Cli) -> None:
    done = cli("dashboard", "results", "--publish", "--project", "p")
    assert done.returncode == 0, done.stderr
    assert [line.split("?")[0] for line in done.stdout.splitlines()] == [f"{server.url}/me/p"] * 2
    sent = server.asked("UpsertView2")
    assert [view["displayName"] for view in sent] == ["p: results", "p: diverged runs"]
    assert {(view["entityName"], view["projectName"]) for view in sent} == {("me", "p")}
    assert "drawn_accuracy" in sent[0]["spec"]


def test_a_server_that_talks_nonsense_is_one_line(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setattr(server, "answer", lambda name, variables: {"data": None})
    done = cli("dashboard", "results", "--publish", "--entity", "me")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("rps_bench: error: W&B: ")
    assert "Traceback" not in done.stderr

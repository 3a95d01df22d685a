"""What is trackio's own: names of projects, runs that are trained again, no word to a network."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from rps_bench.core.errors import UserError
from rps_bench.tracking import build_tracker
from rps_bench.tracking.trackio.environment import settle_environment
from rps_bench.tracking.trackio.runs import check_project
from tests.patience import wait_until
from tests.tracking.boards import read_trackio
from tests.tracking.conftest import Cli, describe, epoch, make_record

pytest.importorskip("trackio")

# trackio's own opinion of names, asked in a process of its own as it must not be imported here.
OPINION = """
import json, sys
from trackio.sqlite_storage import SQLiteStorage
from trackio.utils import canonical_project_name
refused = []
for name in json.loads(sys.argv[1]):
    try:
        SQLiteStorage.validate_project_name(name)
        assert canonical_project_name(name) == name
    except (AssertionError, ValueError):
        refused.append(name)
print(json.dumps(refused))
"""
NAMES = (
    "rps_bench", "A-1", "system", "my.model", "a b", "a/b", "registry-x", "x_system", "x_configs",
    "x_traces", "x_artifacts", "x_artifact_versions", "x_artifact_aliases", "x_run_artifact_links",
    "x_external_run_artifact_links",
)  # fmt: skip


def is_refused(name: str) -> bool:
    try:
        check_project(name)
    except UserError:
        return True
    return False


def test_names_that_trackio_would_refuse_or_change_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", OPINION, json.dumps(NAMES)],
        capture_output=True, text=True, check=True,
        env={**os.environ, "TRACKIO_DIR": str(tmp_path)},
    )  # fmt: skip
    assert [name for name in NAMES if is_refused(name)] == json.loads(done.stdout)
    assert not is_refused("rps_bench")


def train(folder: Path, *numbers: int, **options: str) -> None:
    run = describe(folder)
    with build_tracker("trackio", **options) as tracker:
        tracker.start(run)
        for number in numbers:
            tracker.log_epoch(0, epoch(number))
        tracker.finish(make_record(run))


def test_a_finished_run_that_is_trained_again_is_replaced(tmp_path: Path) -> None:
    """Its record was deleted, or it would not be trained: old and new epochs must not mix."""
    train(tmp_path, 1, 2, 3, 4, group="old")
    train(tmp_path, 1, 2, group="new")
    (shown,) = read_trackio(tmp_path).values()
    assert (shown.group, shown.epochs, shown.status) == ("new", [1, 2], "completed")


def test_final_numbers_are_one_bar_a_run_at_the_last_epoch(tmp_path: Path) -> None:
    train(tmp_path, 1, 2, 3, 4)
    with closing(sqlite3.connect(tmp_path / "trackio" / "rps_bench.db")) as file:
        rows = file.execute("SELECT step, metrics FROM metrics").fetchall()
    ends = [(step, row) for step, text in rows if "final/accuracy" in (row := json.loads(text))]
    assert [(step, row["final/accuracy"], row["final/macs"]) for step, row in ends] == [
        (4, 79.0, 40_813_184)
    ]
    assert all(isinstance(value, int | float) for value in ends[0][1].values())


def test_each_project_is_a_file(tmp_path: Path) -> None:
    train(tmp_path, 1, project="one")
    train(tmp_path, 1, project="two")
    assert sorted(path.name for path in (tmp_path / "trackio").glob("*.db")) == ["one.db", "two.db"]


def test_what_a_killed_process_left_is_written_by_sync(tmp_path: Path, cli: Cli) -> None:
    """Worker and run are killed in the middle of a line."""
    from rps_bench.tracking.relay.journal import open_journal

    run = describe(tmp_path / "results")
    journal = open_journal(tmp_path / "results" / "trackio", run.run_id)
    journal.append(build_tracker("trackio").opening(run))  # type: ignore[attr-defined]
    journal.append({"kind": "log", "values": {"epoch": 1, "train_loss": 0.5}})
    os.write(journal.fileno(), b'{"kind": "log", "val')
    in_use = cli("sync", "results")
    assert in_use.stdout.startswith("left for later, still being written: 1\n")
    journal.close()
    done = cli("sync", "results")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "wrote 1 of 1 runs under results/trackio\n"
    (shown,) = read_trackio(tmp_path / "results").values()
    assert (shown.status, shown.epochs) == ("interrupted", [1])
    assert cli("sync", "results").stdout == "nothing to send under results/wandb\n"


def test_nothing_is_sent_whatever_the_user_has_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account, a Space and a server, all of them at an address that listens."""
    # An address of its own: others may still look for a server that had the same port before.
    address = "127.89.61.3" if sys.platform == "linux" else "127.0.0.1"
    with closing(socket.create_server((address, 0))) as listener:
        listener.setblocking(False)
        url = f"http://{address}:{listener.getsockname()[1]}"
        for name, value in {
            "HF_TOKEN": "hf_" + "a" * 34, "HF_ENDPOINT": url, "TRACKIO_SERVER_URL": url,
            "TRACKIO_WRITE_TOKEN": "b", "TRACKIO_SPACE_ID": "me/space", "TRACKIO_BUCKET_ID": "me/b",
            "TRACKIO_WEBHOOK_URL": url, "HTTPS_PROXY": url, "HTTP_PROXY": url, "SYSTEM": "spaces",
            "TRACKIO_DIR": str(tmp_path / "elsewhere"),
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        train(tmp_path / "results", 1)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert len(read_trackio(tmp_path / "results")) == 1


def test_variables_that_trackio_would_follow() -> None:
    environment = {
        "TRACKIO_SPACE_ID": "me/space", "HF_TOKEN": "x", "SPACE_ID": "y", "GRADIO_SHARE": "True",
        "TRACKIO_SQLITE_SYNCHRONOUS": "full", "TRACKIO_PLOT_ORDER": "final/*", "PATH": "/bin",
    }  # fmt: skip
    settle_environment(Path("/results/trackio"), "/scratch", environment)
    assert environment == {
        "TRACKIO_SQLITE_SYNCHRONOUS": "full", "TRACKIO_PLOT_ORDER": "final/*", "PATH": "/bin",
        "TRACKIO_DIR": "/results/trackio", "HF_HOME": "/scratch", "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip


def test_readers_meet_no_torn_file_while_runs_write(tmp_path: Path) -> None:
    """Whoever opens the file during a run sees whole epochs."""
    run = describe(tmp_path)
    with build_tracker("trackio") as tracker:
        tracker.start(run)
        tracker.log_epoch(0, epoch(1))
        wait_until(lambda: any(s.epochs for s in read_trackio(tmp_path).values()), "an epoch")
        (shown,) = read_trackio(tmp_path).values()
        assert (shown.status, shown.epochs) == ("running", [1])
        tracker.finish(make_record(run))

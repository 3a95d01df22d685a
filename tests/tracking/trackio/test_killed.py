"""A real training, killed with its worker in the middle and resumed: one run, each epoch once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rps_bench.records import read_records
from tests.patience import wait_until
from tests.tracking.boards import Shown, read_trackio

pytest.importorskip("trackio")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
WORDS = (
    "tracking=trackio", "dataset=digits", "recipe=smoke", "recipe.epochs=6", "arch.width=4",
    "method=stable_rps", "compression=10", "seed=0", "processes=1",
)  # fmt: skip


def train(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "rps_bench", *WORDS, f"results_dir={folder}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(word) for task in tasks for word in (task / "children").read_text().split()]


def the_run(folder: Path) -> Shown:
    (shown,) = read_trackio(folder).values()
    return shown


def test_a_killed_training_goes_on_as_one_run(tmp_path: Path) -> None:
    first = train(tmp_path)
    wait_until(lambda: any(run.epochs for run in read_trackio(tmp_path).values()), "an epoch")
    for pid in (*children(first.pid), first.pid):  # both at once, whatever they are doing
        os.kill(pid, signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    before = the_run(tmp_path)
    assert before.status == "running"
    assert len(before.epochs) < 6
    assert train(tmp_path).wait() == 0
    (record,), _ = read_records(tmp_path)
    shown = the_run(tmp_path)
    assert shown.status == "completed"
    assert shown.rows[: len(before.rows)] == before.rows
    assert shown.epochs == [1, 2, 3, 4, 5, 6]
    accuracies = [row["test_accuracy"] for row in record["history"]]
    assert [row["test_accuracy"] for row in shown.rows] == accuracies
    assert sorted(path.name for path in (tmp_path / "trackio").glob("unsent-*")) == []

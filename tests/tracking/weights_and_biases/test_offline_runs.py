"""Real offline runs, read back with wandb's own program."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rps_bench.tracking import Tracker, build_tracker
from rps_bench.tracking.weights_and_biases.journal import find_journals
from tests.patience import wait_until
from tests.tracking.conftest import WandbFolder, describe, epoch, make_record

# A run that is killed before it can say anything.
KILLED = """
import os, sys
from pathlib import Path
from rps_bench.tracking import build_tracker
from rps_bench.tracking.weights_and_biases.journal import find_journals
from tests.patience import wait_until
from tests.tracking.conftest import describe, epoch
tracker = build_tracker("wandb")
tracker.start(describe(Path(sys.argv[1]), method="killed"))
tracker.log_epoch(0, epoch(1))
os.kill(os.getpid(), 9)
"""
# What a user may have set for other work, and a run sets itself.
FOREIGN = {
    "WANDB_RUN_ID": "theirs", "WANDB_RESUME": "must", "WANDB_CONSOLE": "wrap",
    "WANDB_PROGRAM": "theirs", "WANDB_SERVICE": "3-1-tcp-localhost-9",
}  # fmt: skip


def complete(tracker: Tracker, folder: Path) -> Callable[[], None]:
    run = describe(folder)
    tracker.start(run)
    for number in (1, 2, 3, 4):
        tracker.log_epoch(0, epoch(number))
    return lambda: tracker.finish(make_record(run))


def diverge(tracker: Tracker, folder: Path) -> Callable[[], None]:
    run = describe(folder, method="hashednet", label="hashednet (init_std=1)")
    tracker.start(run)
    tracker.log_epoch(0, epoch(1))
    return lambda: tracker.finish(make_record(run, "diverged"))


def crash(tracker: Tracker, folder: Path) -> Callable[[], None]:
    tracker.start(describe(folder, method="snip"))
    tracker.log_epoch(0, epoch(1))
    error = RuntimeError("out of luck\nand more")
    return lambda: tracker.__exit__(RuntimeError, error, None)


def interrupt(tracker: Tracker, folder: Path) -> Callable[[], None]:
    """The first command of a run that is resumed."""
    tracker.start(describe(folder, method="ltr"))
    tracker.log_epoch(0, epoch(1))
    tracker.log_epoch(0, epoch(2))
    return lambda: tracker.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)


def resume(tracker: Tracker, folder: Path) -> Callable[[], None]:
    """The second: epoch 2 again, then on, over levels."""
    run = describe(folder, method="ltr")
    tracker.start(run)
    for level, number in ((0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)):
        tracker.log_epoch(level, epoch(number))
    return lambda: tracker.finish(make_record(run))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> WandbFolder:
    """All runs at once: most of their time is wandb's start."""
    folder = tmp_path_factory.mktemp("results")
    root = str(Path(__file__).resolve().parents[3])
    command = [sys.executable, "-c", KILLED, str(folder)]
    environment = {**os.environ, "PYTHONPATH": root, "TMPDIR": str(folder)}
    assert subprocess.run(command, check=False, env=environment).returncode == -9
    with pytest.MonkeyPatch.context() as patch:
        for name, value in FOREIGN.items():
            patch.setenv(name, value)
        ends = [story(build_tracker("wandb"), folder) for story in (complete, diverge, crash)]
        tags = build_tracker("wandb", tags=["a", "b"], group="mine", project="p", mode="offline")
        ends.append(interrupt(tags, folder))
    for end in ends:
        end()
    resume(build_tracker("wandb"), folder)()
    return WandbFolder(folder)


def test_a_completed_run(folder: WandbFolder) -> None:
    (run,) = folder.runs("mag")
    summary = folder.summary(run)
    assert (summary["state"], summary["exit_code"], summary["name"]) == (
        "finished",
        0,
        "mag-10x-s0",
    )
    token = (folder.path / "folder_id").read_text()
    assert summary["run_id"] == f"digits-resnet20-mag-10x-smoke-s0-{token}"
    assert summary["project"] == "rps_bench"
    (opened,) = folder.messages(run, "run")
    assert (opened["run_group"], opened["job_type"]) == ("digits-resnet20-smoke", "mag")
    assert opened["resume"] is True
    config, numbers = summary["config"], summary["summary"]
    assert (config["recipe_epochs"], config["method_rounds"], config["seed"]) == (4, 1, 0)
    assert (config["git_commit"], config["version_hydra_core"]) == ("0123abc", "1.3.8")
    assert (numbers["accuracy"], numbers["best_accuracy"]) == (79, 80)
    assert (numbers["test_accuracy"], numbers["status"]) == (
        79,
        "completed",
    )  # not the last row's 80
    assert (numbers["true_compression"], numbers["macs"]) == (5.5, 40_813_184)


def test_one_row_per_epoch_with_the_epoch_as_the_axis(folder: WandbFolder) -> None:
    (run,) = folder.runs("mag")
    rows = folder.history(run)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert [row["test_accuracy"] for row in rows] == [20, 40, 60, 80]
    assert [row["step"]["num"] for row in folder.messages(run, "history")] == [1, 2, 3, 4]
    (axis,) = [m for m in folder.messages(run, "metric") if m.get("glob_name") == "*"]
    assert axis["step_metric"] == "epoch"


def test_no_noise(folder: WandbFolder) -> None:
    """No system metrics, console, code, git state or requirements; no files beside the log."""
    for run in folder.runs():
        assert folder.messages(run, "stats") == []
        assert folder.messages(run, "output_raw") == []
        (opened,) = folder.messages(run, "run")
        assert "git" not in opened
        assert [p for p in (run.parent / "files").rglob("*") if p.is_file()] == []


def test_a_diverged_run_has_finished_and_says_so(folder: WandbFolder) -> None:
    (run,) = folder.runs("hashednet")
    summary = folder.summary(run)
    assert (summary["state"], summary["exit_code"]) == ("finished", 0)
    assert summary["name"] == "hashednet (init_std=1)-10x-s0"
    numbers = summary["summary"]
    assert (numbers["status"], numbers["diverged"], numbers["drawn_accuracy"]) == (
        "diverged",
        1,
        10,
    )
    assert numbers["reason"].startswith("training loss not finite")
    assert numbers.get("test_accuracy") is None
    assert numbers.get("accuracy") is None


def test_a_run_that_crashed_is_marked_failed(folder: WandbFolder) -> None:
    (run,) = folder.runs("snip")
    summary = folder.summary(run)
    assert (summary["state"], summary["exit_code"]) == ("failed", 1)
    assert summary["summary"]["status"] == "failed"
    assert summary["summary"]["reason"] == "RuntimeError: out of luck"
    assert summary["summary"].get("test_accuracy") is None
    assert summary["summary"]["epoch"] == 1


def test_a_resumed_run_continues_under_its_id(folder: WandbFolder) -> None:
    """On one axis over all levels; epoch 2, done again, is not repeated."""
    first, second = folder.runs("ltr")
    before, after = folder.summary(first), folder.summary(second)
    assert before["run_id"] == after["run_id"]
    assert (before["state"], before["summary"]["status"]) == ("failed", "interrupted")
    assert (after["state"], after["summary"]["status"]) == ("finished", "completed")
    assert [row["epoch"] for row in folder.history(first)] == [1, 2]
    rows = folder.history(second)
    assert [row["epoch"] for row in rows] == [3, 4, 6, 7, 8]
    assert [row["level"] for row in rows] == [0, 0, 1, 1, 1]
    assert [row["level_epoch"] for row in rows] == [3, 4, 2, 3, 4]


def test_options_of_the_command_and_none_of_foreign_variables(folder: WandbFolder) -> None:
    (opened,) = folder.messages(folder.runs("ltr")[0], "run")
    assert (opened["run_group"], opened["project"], opened["tags"]) == ("mine", "p", ["a", "b"])
    assert "theirs" not in str([folder.messages(run, "run") for run in folder.runs()])


def test_a_killed_run_is_marked_by_the_worker_that_outlives_it(folder: WandbFolder) -> None:
    scratch = folder.path.parent
    wait_until(lambda: not [*scratch.glob("rps_bench-wandb-*")], "the end of the worker")
    (run,) = folder.runs("killed")
    summary = folder.summary(run)
    assert (summary["state"], summary["summary"]["status"]) == ("failed", "interrupted")
    assert [row["epoch"] for row in folder.history(run)] == [1]
    assert find_journals(folder.path) == []

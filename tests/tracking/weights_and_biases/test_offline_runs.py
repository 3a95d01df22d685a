"""What is W&B's own in real offline runs, read back with wandb's own program.

What every tracker keeps is tested by tests/tracking/test_contract.py.
"""

import pytest

from rps_bench.tracking import build_tracker
from tests.tracking.conftest import WandbFolder
from tests.tracking.test_contract import complete, crash, diverge, interrupt, resume

# What a user may have set for other work, and a run sets itself.
FOREIGN = {
    "WANDB_RUN_ID": "theirs", "WANDB_RESUME": "must", "WANDB_CONSOLE": "wrap",
    "WANDB_PROGRAM": "theirs", "WANDB_SERVICE": "3-1-tcp-localhost-9",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> WandbFolder:
    """All runs at once: most of their time is wandb's start."""
    folder = tmp_path_factory.mktemp("results")
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
    assert (summary["state"], summary["exit_code"]) == ("finished", 0)
    token = (folder.path / "folder_id").read_text()
    assert summary["run_id"] == f"digits-resnet20-mag-10x-smoke-s0-{token}"
    assert summary["project"] == "rps_bench"
    (opened,) = folder.messages(run, "run")
    assert (opened["job_type"], opened["resume"]) == ("mag", True)


def test_the_epoch_is_the_axis(folder: WandbFolder) -> None:
    (run,) = folder.runs("mag")
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


def test_exit_codes(folder: WandbFolder) -> None:
    """A diverged run has finished, one that crashed has not."""
    ends = {}
    for method in ("hashednet", "snip"):
        (run,) = folder.runs(method)
        summary = folder.summary(run)
        ends[method] = (summary["state"], summary["exit_code"])
    assert ends == {"hashednet": ("finished", 0), "snip": ("failed", 1)}


def test_a_resumed_run_has_two_parts_of_one_id(folder: WandbFolder) -> None:
    first, second = folder.runs("ltr")
    before, after = folder.summary(first), folder.summary(second)
    assert before["run_id"] == after["run_id"]
    assert (before["state"], before["summary"]["status"]) == ("failed", "interrupted")
    assert (after["state"], after["summary"]["status"]) == ("finished", "completed")
    assert [row["epoch"] for row in folder.history(first)] == [1, 2]
    assert [row["epoch"] for row in folder.history(second)] == [3, 4, 6, 7, 8]


def test_options_of_the_command_and_none_of_foreign_variables(folder: WandbFolder) -> None:
    (opened,) = folder.messages(folder.runs("ltr")[0], "run")
    assert (opened["run_group"], opened["project"], opened["tags"]) == ("mine", "p", ["a", "b"])
    assert "theirs" not in str([folder.messages(run, "run") for run in folder.runs()])

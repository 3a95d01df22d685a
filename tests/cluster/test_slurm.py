"""Sweeps on a real Slurm: every run recorded once, whatever Slurm does to its jobs.

A cluster of one node is set up on this machine for them; `make test-slurm` runs them.
"""

from pathlib import Path

import pytest

from tests.cluster.conftest import Submit, Sweep, wait_for

pytestmark = pytest.mark.slurm

SMOKE = (
    "dataset=digits",
    "arch.width=4",
    "recipe=smoke",
    "device=cpu",
    "precision=fp32",
    "hydra.launcher.mem_gb=1",
)
LIMIT = 2  # below the node's 8 slots: it is the array's limit that holds
NUM_EPOCHS = 80  # of a small network: seconds, long enough to be met at work


def test_a_sweep_is_recorded_once_within_its_limit(submit: Submit) -> None:
    sweep = submit(
        *SMOKE,
        "method=dense,mag,stable_rps",
        "compression=1,10,100",
        f"hydra.launcher.array_parallelism={LIMIT}",
        "hydra.launcher.cpus_per_task=2",
    )
    most = 0
    while sweep.process.poll() is None:
        most = max(most, sweep.count_running())
    status, output = sweep.finish()
    assert status == 0, output
    assert "7 recorded, 0 failed" in output
    assert most == LIMIT
    records = sweep.records()
    assert len(records) == 7
    assert {record["status"] for record in records.values()} == {"completed"}
    assert {record["provenance"]["num_threads"] for record in records.values()} == {2}
    assert [path.name for path in sweep.folder.iterdir()] == ["results"]
    for run_id in records:
        assert output.count(f"completed: {run_id}") == 1


def test_stopped_jobs_go_on_where_they_were_and_hide_no_others(submit: Submit) -> None:
    words = (*SMOKE, f"recipe.epochs={NUM_EPOCHS}", "compression=10")
    sweep = submit(*words, "method=mag,rand,roast,stable_rps", "hydra.launcher.cpus_per_task=1")

    preempted, requeued, killed = (at_work(sweep, method) for method in ("mag", "rand", "roast"))
    sweep.slurm("scancel", "--signal=USR2", preempted)  # preempted
    sweep.slurm("scontrol", "requeue", requeued)
    sweep.slurm("scancel", killed)
    status, output = sweep.finish()

    assert [sweep.num_restarts(job) for job in (preempted, requeued)] == [1, 1]
    assert f"Slurm ended job {killed}: CANCELLED" in output
    assert "4 runs: 3 recorded, 1 failed" in output
    assert status != 0
    assert methods_of(sweep) == ["mag", "rand", "stable_rps"]
    for method in ("mag", "rand"):
        assert_went_on(sweep, method, num_stays=2)
    assert sweep.epochs("stable_rps") == list(range(1, NUM_EPOCHS + 1))

    # The killed one is all that a second call of the same command has left to do.
    before = len(sweep.epochs("roast"))
    again = submit(*words, "method=mag,rand,roast,stable_rps", "hydra.launcher.cpus_per_task=1")
    status, output = again.finish()
    assert status == 0, output
    assert methods_of(again) == ["mag", "rand", "roast", "stable_rps"]
    assert before > 0
    assert_went_on(again, "roast", num_stays=2)


def test_a_time_out_goes_on_until_there_were_too_many(submit: Submit) -> None:
    words = (*SMOKE, f"recipe.epochs={NUM_EPOCHS}", "method=mag", "hydra.launcher.cpus_per_task=1")
    sweep = submit(
        *words,
        "hydra.launcher.timeout_min=10",  # as short as it takes for any stop to count as time-out
        "hydra.launcher.max_num_timeout=1",
    )
    job = at_work(sweep, "mag")
    sweep.slurm("scancel", "--signal=USR2", job)  # as Slurm itself does ahead of the limit
    wait_for(lambda: sweep.num_restarts(job) == 1, "a restart")
    stopped = len(sweep.epochs("mag"))
    wait_for(lambda: len(sweep.epochs("mag")) > stopped, "an epoch after the restart")
    sweep.slurm("scancel", "--signal=USR2", job)
    status, output = sweep.finish()
    assert status == 1, output
    (record,) = sweep.records().values()
    assert record["status"] == "failed"
    assert "timed-out too many times" in record["reason"]

    status, output = submit(*words).finish()
    assert status == 0, output
    assert methods_of(sweep) == ["mag"]
    assert_went_on(sweep, "mag", num_stays=3)


def test_a_failed_run_does_not_hide_the_others(submit: Submit, tmp_path: Path) -> None:
    broken = tmp_path / "data" / "cifar10" / "plain_text"
    broken.mkdir(parents=True)
    for name in ("train-0.parquet", "test-0.parquet"):
        (broken / name).write_text("no parquet")
    sweep = submit(
        *SMOKE[1:],
        "dataset=cifar10,digits",
        "method=mag,rand",
        f"data_root={tmp_path / 'data'}",
        "hydra.launcher.cpus_per_task=1",
    )
    status, output = sweep.finish()
    assert status != 0
    assert "4 runs: 2 recorded, 2 failed" in output
    assert methods_of(sweep) == ["mag", "rand"]


def test_what_slurm_does_not_take_ends_in_one_line(submit: Submit) -> None:
    sweep = submit(*SMOKE, "method=mag", "hydra.launcher.partition=no_such")
    status, output = sweep.finish()
    assert status == 2
    assert "rps_bench: error: Slurm took no job: " in output
    assert "invalid partition" in output
    assert "Traceback" not in output


def at_work(sweep: Sweep, method: str) -> str:
    """The job of a method, once it has printed two epochs."""
    wait_for(lambda: len(sweep.epochs(method)) >= 2, f"two epochs of {method}")
    return sweep.job_of(method)


def methods_of(sweep: Sweep) -> list[str]:
    """The methods of the completed records, each of which tells every epoch once."""
    completed = [r for r in sweep.records().values() if r["status"] == "completed"]
    for record in completed:
        num_epochs = record["config"]["recipe_options"]["epochs"]
        assert [row["epoch"] for row in record["history"]] == list(range(1, num_epochs + 1))
    return sorted(record["config"]["method"] for record in completed)


def assert_went_on(sweep: Sweep, method: str, num_stays: int) -> None:
    """Every epoch was trained, and at each new stay only the unfinished one again, if any."""
    epochs = sweep.epochs(method)
    assert sorted(set(epochs)) == list(range(1, NUM_EPOCHS + 1))
    assert len(epochs) - NUM_EPOCHS < num_stays

"""Out of memory for real, on a CPU: a process that may not have more address space than so much."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rps_bench.records import read_records
from tests.alike import without_times

TINY = ["recipe=smoke", "recipe.epochs=1", "arch.width=2", "device=cpu", "precision=fp32"]
ORDINARY = [*TINY, "method=stable_rps", "results_dir=results"]
WHOLE_BATCH = [*TINY, "method=mag", "recipe.batch_size=1437", "results_dir=results"]
DIVERGING = [*TINY, "recipe.lr=1e30", "results_dir=results"]

# Does one command after another, each with its limit in MB above what the process has; 0 is none.
LIMITED = """
import json, resource, sys
from rps_bench.__main__ import main
import rps_bench.run, sklearn.datasets
for megabytes, words in json.loads(sys.argv[1]):
    in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = in_use + megabytes * 10**6 if megabytes else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as stop:
        print("status", stop.code or 0)
"""


def run_limited(folder: Path, *commands: tuple[int, list[str]]) -> subprocess.CompletedProcess[str]:
    """Run commands in one process, each under its limit."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    return subprocess.run(
        [sys.executable, "-c", LIMITED, json.dumps(commands)],
        check=True,
        cwd=folder,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def records_by_method(folder: Path) -> dict[str, dict[str, Any]]:
    records, _ = read_records(folder)
    return {record["config"]["method"]: record for record in records}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The record of an ordinary run in a process that did nothing before."""
    folder = tmp_path_factory.mktemp("fresh")
    run_limited(folder, (0, ORDINARY))
    (record,) = read_records(folder / "results")[0]
    return record


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
def test_out_of_memory_is_recorded_and_leaves_the_next_run_alone(
    fresh: dict[str, Any], tmp_path: Path
) -> None:
    done = run_limited(tmp_path, (100, WHOLE_BATCH), (0, ORDINARY))
    assert done.stdout.count("status 1") == 1
    assert done.stdout.count("status 0") == 1
    assert done.stderr == ""
    records = records_by_method(tmp_path / "results")
    failed = records["mag"]
    assert failed["status"] == "failed"
    assert failed["reason"].startswith("out of memory: ")
    assert failed["reason"].endswith("; a smaller recipe.batch_size than 1437 takes less")
    assert f"failed: {failed['run_id']}  {failed['reason']}" in done.stdout
    assert without_times(records["stable_rps"]) == without_times(fresh)

    again = run_limited(tmp_path, (0, WHOLE_BATCH))
    assert "status 0" in again.stdout
    assert records_by_method(tmp_path / "results")["mag"]["status"] == "completed"


def test_a_diverged_run_leaves_the_next_run_alone(fresh: dict[str, Any], tmp_path: Path) -> None:
    run_limited(tmp_path, (0, DIVERGING), (0, ORDINARY))
    records, _ = read_records(tmp_path / "results")
    by_status = {record["status"]: record for record in records}
    assert by_status.keys() == {"diverged", "completed"}
    assert without_times(by_status["completed"]) == without_times(fresh)

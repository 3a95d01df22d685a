"""Out of memory for real, on a CPU: a process that may not have more address space than so much."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rps_bench.records import read_records
from tests.alike import TINY, without_times
from tests.conftest import Command

ORDINARY = (*TINY, "method=stable_rps")
DIVERGING = (*ORDINARY, "recipe.lr=1e30")
WHOLE_BATCH = (*TINY, "method=mag", "recipe.batch_size=1437")

# Does one command after another, each with its limit in MB above what the process has; 0 is none.
LIMITED = """
import json, resource, sys
from rps_bench.__main__ import main
import rps_bench.run, rps_bench.datasets.sources  # all that is imported late
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


def run_limited(
    folder: Path, *commands: tuple[int, tuple[str, ...]]
) -> subprocess.CompletedProcess[str]:
    """Run commands in one process, each under its limit.

    One arena: by itself malloc reserves 64 MB of address space for a thread that finds the others
    busy, so that now and then no tensor would meet the limit but oneDNN, which then stays unusable.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    environment["MALLOC_ARENA_MAX"] = "1"
    return subprocess.run(
        [sys.executable, "-c", LIMITED, json.dumps(commands)],
        check=True,
        cwd=folder,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def records_by_status(folder: Path) -> dict[str, dict[str, Any]]:
    records, _ = read_records(folder / "results")
    return {record["status"]: record for record in records}


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
def test_out_of_memory_and_divergence_leave_the_next_run_alone(
    tmp_path: Path, command: Command
) -> None:
    done = run_limited(tmp_path, (100, WHOLE_BATCH), (0, DIVERGING), (0, ORDINARY))
    assert re.findall("status .", done.stdout) == ["status 1", "status 0", "status 0"]
    assert done.stderr == ""
    first = records_by_status(tmp_path)
    assert first.keys() == {"failed", "diverged", "completed"}
    failed = first["failed"]
    assert failed["reason"].startswith("out of memory: ")
    assert failed["reason"].endswith("; a smaller recipe.batch_size than 1437 takes less")
    assert f"failed: {failed['run_id']}  {failed['reason']}" in done.stdout

    # The ordinary run without all that, and what failed with all the memory that it wants.
    assert command(*ORDINARY, "results_dir=alone") == 0
    assert command(*WHOLE_BATCH) == 0
    ((alone,), _) = read_records(tmp_path / "alone")
    assert without_times(first["completed"]) == without_times(alone)
    records, _ = read_records(tmp_path / "results")
    outcomes = {record["run_id"]: record["status"] for record in records}
    assert len(outcomes) == 3
    assert outcomes[failed["run_id"]] == "completed"

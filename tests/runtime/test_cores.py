"""Threads stay within the share of time that a container gives its processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rps_bench.runtime import cores


def write_limit(folder: Path, version: int, quota: str, period: str = "100000") -> None:
    """The files of a container's own limit, as version 1 or 2 of cgroups has them."""
    if version == 2:
        (folder / "cpu.max").write_text(f"{quota} {period}\n")
        return
    (folder / "cpu").mkdir()
    (folder / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("quota", "limit"),
    [("200000", 2), ("150000", 2), ("50000", 1), ("max", None), ("-1", None), ("", None)],
)
def test_the_limit_is_whole_cores(
    version: int, quota: str, limit: int | None, tmp_path: Path
) -> None:
    write_limit(tmp_path, version, quota)
    assert cores.find_limit({}, tmp_path) == limit


def test_no_limit_without_files_or_where_the_environment_states_threads(tmp_path: Path) -> None:
    assert cores.find_limit({}, tmp_path) is None
    write_limit(tmp_path, 2, "100000")
    assert cores.find_limit({"OMP_NUM_THREADS": "8"}, tmp_path) is None


@pytest.mark.parametrize(
    ("wanted", "limit", "used"), [(None, None, 4), (None, 2, 2), (None, 8, 4), (8, 2, 8), (1, 2, 1)]
)
def test_threads(
    wanted: int | None, limit: int | None, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the user wants counts, else the limit; nothing raises the number."""
    num_threads = [4]
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", num_threads.append)
    monkeypatch.setattr(cores, "find_limit", lambda environment: limit)
    cores.set_threads(wanted)
    assert num_threads[-1] == used


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_torch_itself_counts_the_cores_of_this_process() -> None:
    """Without that, threads would have to be limited to them here as well."""
    core = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, {{{core}}}); import torch"
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    result = subprocess.run(
        [sys.executable, "-c", f"{program}; print(torch.get_num_threads())"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["1"]

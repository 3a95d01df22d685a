"""Working through runs: what another process is at is put off, one failure hides nothing."""

from pathlib import Path
from typing import Any

import pytest

from rps_bench.config import RunConfig
from rps_bench.launch import jobs
from rps_bench.runtime.locks import InUseError
from rps_bench.sweep.planning import plan_runs

WORDS = ["compression=1,2,4", "method=mag", "recipe=smoke", "arch.width=2", "device=cpu"]


@pytest.fixture
def configs(tmp_path: Path) -> list[RunConfig]:
    return plan_runs([*WORDS, f"results_dir={tmp_path}"], is_sweep=True).configs


def test_a_run_in_use_is_put_off_until_the_others_are_done(
    configs: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []
    pauses: list[float] = []

    def run(config: RunConfig, *heard: Any) -> dict[str, Any]:
        tried.append(config.compression)
        if config.compression == 1 and len(tried) < 6:
            raise InUseError
        return {}

    monkeypatch.setattr("rps_bench.run.run", run)
    monkeypatch.setattr(jobs, "describe", lambda record: "done")
    monkeypatch.setattr("rps_bench.launch.jobs.time.sleep", pauses.append)
    jobs.work_through(configs)
    assert tried == [1, 2, 4, 1, 1, 1]
    assert pauses == [1.0, 2.0]  # only where nothing could be done


def test_the_pause_grows_to_a_bound(
    configs: list[RunConfig], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []

    def run(config: RunConfig, *heard: Any) -> dict[str, Any]:
        if len(pauses) < 8:
            raise InUseError
        return {}

    monkeypatch.setattr("rps_bench.run.run", run)
    monkeypatch.setattr(jobs, "describe", lambda record: "done")
    monkeypatch.setattr("rps_bench.launch.jobs.time.sleep", pauses.append)
    jobs.work_through(configs[:1])
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert capsys.readouterr().out.count("waiting for other processes") == 1


def test_a_crash_and_a_user_error_do_not_stop_the_others(
    configs: list[RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from rps_bench.core.errors import UserError
    from rps_bench.records.store import find_record

    done: list[float] = []

    def run(config: RunConfig, *heard: Any) -> dict[str, Any]:
        if config.compression == 1:
            raise ZeroDivisionError("a fault\nof ours")
        if config.compression == 2:
            raise UserError("no images")
        done.append(config.compression)
        return {}

    monkeypatch.setattr("rps_bench.run.run", run)
    monkeypatch.setattr(jobs, "describe", lambda record: "done")
    jobs.work_through(configs)
    assert done == [4]
    places = [config.record_place for config in configs]
    failed = find_record(*places[0])
    assert failed is not None
    assert (failed["status"], failed["reason"]) == ("failed", "ZeroDivisionError: a fault")
    assert find_record(*places[1]) is None
    assert "rps_bench: error: no images" in capsys.readouterr().err


def test_a_slot_and_threads_are_taken_for_a_run(
    configs: list[RunConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # no limit but the words'
    devices: list[str] = []

    def run(config: RunConfig, *heard: Any) -> dict[str, Any]:
        devices.append(config.compute.device)
        return {}

    monkeypatch.setattr("rps_bench.run.run", run)
    monkeypatch.setattr(jobs, "describe", lambda record: "done")
    words = [*WORDS, f"results_dir={tmp_path}", "gpus=[2]", "threads=3"]
    jobs.work_through([plan_runs(words, is_sweep=True).configs[0], configs[1]])
    assert devices == ["cuda:2", "cpu"]
    assert threads == [3]

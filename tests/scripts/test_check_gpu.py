"""The check of a GPU, as far as it goes without one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from scripts import check_gpu, gpu_stages
from scripts.check_gpu import Stage, main, run_stages
from scripts.commands import Command, run_command
from scripts.gpu_stages import (
    Runs,
    Setting,
    read_outcomes,
    summarise_tests,
    train_alone,
    train_at_once,
)
from tests.patience import PATIENCE_SECONDS, wait_until


def test_without_a_gpu_it_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "rps_bench: error: no CUDA device is there\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("--seconds", "0"), ("--population", "x"), ("--colour", "red")])
def test_bad_options_end_in_one_line(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1


def test_a_failure_ends_its_own_stage_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, kept = tmp_path / "check.json", list[set[str]]()

    def work(seconds: float) -> dict[str, Any]:
        if path.exists():
            kept.append(set(json.loads(path.read_text())["stages"]))
        return {"images_per_second": 10.0, "times_floor": 2.0}

    def fail(seconds: float) -> dict[str, Any]:
        raise ValueError("of its own")

    stages = [Stage("a", 100, work), Stage("b", 100, fail), Stage("c", 1, fail)]
    assert not run_stages([*stages, Stage("d", 100, work)], 1000, {"hardware": "x"}, path)
    assert kept == [{"a", "b", "c"}]
    report = json.loads(path.read_text())
    assert report["hardware"] == "x"
    assert report["stages"]["b"]["failed"] == "ValueError: of its own"
    assert report["stages"]["c"] == {"skipped": "no time is left"}
    assert report["stages"]["d"]["images_per_second"] == 10
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("a: all 10 images/s (2.0 times the floor)")
    assert run_stages([Stage("a", 100, work)], 1000, {}, path)


def test_a_command_ends_when_its_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is up once it has begun, however long an interpreter takes to start."""
    begun = tmp_path / "begun"

    class Process(subprocess.Popen[str]):
        def communicate(
            self, input: str | None = None, timeout: float | None = None
        ) -> tuple[str, str]:
            if timeout == 5:
                wait_until(begun.exists, "the command")
                timeout = 0
            return super().communicate(input, timeout)

    monkeypatch.setattr(subprocess, "Popen", Process)
    code = f"print('begun', flush=True); open({str(begun)!r}, 'w'); import signal; signal.pause()"
    done = run_command([sys.executable, "-c", code], 5)
    assert (done.status, done.last_line) == (None, "begun")
    words = [sys.executable, "-c", "raise SystemExit('no')"]
    assert run_command(words, PATIENCE_SECONDS)[:2] == (1, "no\n")


ALONE = """\
tests/test_gpu.py::test_maps[dense] PASSED                     [ 33%]
tests/test_gpu.py::test_maps[mag] FAILED                       [ 66%]
tests/test_gpu.py::test_run SKIPPED (needs more)               [100%]
"""
DIVIDED = """\
[gw0] [ 33%] PASSED tests/test_gpu.py::test_maps[dense]
[gw1] [ 66%] FAILED tests/test_gpu.py::test_maps[mag]
[gw0] [100%] SKIPPED tests/test_gpu.py::test_run
"""


@pytest.mark.parametrize("output", [ALONE, DIVIDED])
def test_outcomes_are_read_from_what_pytest_prints(output: str) -> None:
    assert read_outcomes(output) == {
        "tests/test_gpu.py::test_maps[dense]": "PASSED",
        "tests/test_gpu.py::test_maps[mag]": "FAILED",
        "tests/test_gpu.py::test_run": "SKIPPED",
    }


def test_tests_that_do_not_pass_are_named() -> None:
    good = summarise_tests(Command(0, ALONE.splitlines()[0], 1.0))
    assert good == {"counts": {"PASSED": 1, "FAILED": 0, "ERROR": 0, "SKIPPED": 0}}
    bad = summarise_tests(Command(1, ALONE, 1.0))
    assert bad["failed"] == "status 1; 1 passed, 1 failed, 0 error, 1 skipped"
    assert bad["not_passed"] == ["tests/test_gpu.py::test_maps[mag]"]
    assert summarise_tests(Command(None, "", 1.0))["failed"].startswith("not done in time")


def make_record(precision: str, seconds: float) -> dict[str, Any]:
    return {
        "config": {"precision": precision},
        "cost": {
            "images_per_second": 1000 / seconds,
            "train_seconds": seconds,
            "peak_memory_bytes": 7,
            "population": 2,
        },
        "metrics": {"test_accuracy": 50.0},
    }


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Of two runs of 1,000 images each, one in fp32 and one in bf16."""
    records = [make_record("fp32", 5.0), make_record("bf16", 4.0)]
    monkeypatch.setattr(Setting, "train", lambda *arguments: Runs(records, 9.0))
    return Setting("cuda", tmp_path, "random", num_at_once=2, copies=1e12)


def test_speeds_stand_beside_the_floor(setting: Setting) -> None:
    report = train_alone(setting, "resnet20", 60)
    assert report["fp32"]["images_per_second"] == 200
    assert report["bf16"]["test_accuracy"] == 50
    # 14 times 200,704 outputs of convolutions, at 2 bytes
    floor = 1e12 / (14 * 2 * 200_704)
    assert report["bf16"]["times_floor"] == pytest.approx(floor / 250)
    assert report["fp32"]["times_floor"] == pytest.approx(floor / 2 / 200)
    assert report["bf16"]["paper_seconds"] == 160 * 50_000 / 250


def test_runs_at_once_count_together(setting: Setting) -> None:
    report = train_at_once(setting, "resnet20", 60)
    assert report["images_per_second"] == pytest.approx(2000 / 5)
    assert report["population"] == 2


def test_every_stage_can_begin() -> None:
    setting = Setting("cuda", Path(), "random", num_at_once=2, copies=None)
    stages = check_gpu.list_stages(setting)
    assert len({stage.name for stage in stages}) == len(stages)
    assert all(stage.seconds > check_gpu.LEAST_SECONDS for stage in stages)
    assert gpu_stages.compare_accuracies(setting, 60) == {
        "skipped": "random images have nothing to learn"
    }

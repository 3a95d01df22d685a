"""The way to running: only what is missing is launched."""

import re

import pytest

from rps_bench.launch import whole as door
from rps_bench.sweep.planning import Plan, PlannedRun
from tests.conftest import Command

TINY = ("recipe=smoke", "arch.width=2", "device=cpu", "precision=fp32", "method=mag")


def test_only_missing_runs_are_launched(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*TINY, "compression=4") == 0
    launched: list[float] = []

    def launch(plan: Plan, runs: list[PlannedRun]) -> bool:
        launched.extend(run.config.compression for run in runs)
        return True

    monkeypatch.setattr(door, "launch", launch)
    assert command("-m", *TINY, "compression=2,4,8") == 2  # nothing ran, so two are not recorded
    assert launched == [2.0, 8.0]
    out = capsys.readouterr().out
    assert out.count("already recorded, skipped") == 1
    assert re.search(r"mag-2x-\S+ +not recorded", out)
    assert "3 runs: 1 recorded, 2 failed" in out


def test_a_launcher_without_a_sweep_is_an_error(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra slurm")
    assert command("hydra/launcher=slurm", *TINY) == 2
    assert "hydra/launcher=slurm launches sweeps: add -m" in capsys.readouterr().err

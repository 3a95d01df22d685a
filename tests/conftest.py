"""Fixtures that every room's tests may use."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hypothesis import settings

from rps_bench.__main__ import main

# One thread: the tests run side by side, and sums in one thread have one order.
torch.set_num_threads(1)

# No deadlines: tests never measure time, and a busy machine is no fault.
settings.register_profile("rps_bench", deadline=None)
settings.load_profile("rps_bench")

Command = Callable[..., int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """``python -m rps_bench WORDS`` in this process and an empty folder; returns the status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RPS_BENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def call(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["rps_bench", *words])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
        finally:
            GlobalHydra.instance().clear()
        return 0

    return call

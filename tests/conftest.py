"""Fixtures that every room's tests may use."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hypothesis import settings

from rps_bench.__main__ import main
from rps_bench.engine import build
from rps_bench.engine import native as native_module
from rps_bench.engine.native import Native, find_native

# One thread: the tests run side by side, and sums in one thread have one order.
torch.set_num_threads(1)

# No deadlines: tests never measure time, and a busy machine is no fault.
settings.register_profile("rps_bench", deadline=None)
settings.load_profile("rps_bench")

# A shell starts what it puts in the background with Ctrl-C ignored, and the command respects that.
signal.signal(signal.SIGINT, signal.default_int_handler)

Command = Callable[..., int]


@pytest.fixture(autouse=True)
def loggers_that_speak() -> Iterator[None]:
    """Switches loggers on again: Hydra's --help ends all of a process, --info writes by one."""
    yield
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(scope="session")
def kernels_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled kernels that all processes of the tests share: compiled once."""
    base = tmp_path_factory.getbasetemp()
    cache = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch, suppress(build.CannotBuildError):
        patch.setattr(build, "user_cache_folder", lambda: cache)
        build.build_library(lambda line: None)
    return cache / "kernels"


@pytest.fixture
def user_cache(tmp_path_factory: pytest.TempPathFactory, kernels_folder: Path) -> Path:
    """The test's own XDG_CACHE_HOME, empty but for compiled kernels."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / "rps_bench").mkdir()
    (cache / "rps_bench" / "kernels").symlink_to(kernels_folder)
    return cache


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user_cache: Path) -> Command:
    """``python -m rps_bench WORDS`` in this process and an empty folder; returns the status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RPS_BENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(user_cache))
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


@pytest.fixture(scope="session")
def native(kernels_folder: Path) -> Iterator[Native]:
    """The native kernels, compiled once; without a compiler tests that need them are skipped."""
    lines: list[str] = []
    native_module._loaded.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "user_cache_folder", lambda: kernels_folder.parent)
        found = find_native("plain", lines.append)
    if found is None:
        pytest.skip("; ".join(lines))
    yield found
    native_module._loaded.clear()


class Disk:
    """A real disk of one megabyte and few files, to be filled up, made read-only or taken away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "others"

    def fill(self, leave: int = 0) -> None:
        """Take all space but ``leave`` bytes, in whole pages."""
        free = os.statvfs(self.folder)
        with open(self._filler, "ab", buffering=0) as file:
            file.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))

    def make_room(self) -> None:
        """Give all space back."""
        self._filler.unlink()

    def allow_files(self, number: int) -> None:
        """Let the disk hold so many files and folders in all."""
        subprocess.run(["mount", "-o", f"remount,nr_inodes={number}", self.folder], check=True)

    def cover(self) -> None:
        """Put an empty disk that cannot be written in its place."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", self.folder], check=True)

    def take_away(self) -> None:
        """Take away what lies in its place: what covers it, or the disk itself."""
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Disk]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield Disk(disk)
    while disk.is_mount():
        subprocess.run(["umount", "--lazy", str(disk)], check=True)

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
from rps_bench.core.cache_folder import user_cache_folder
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
    """Switches loggers on again: Hydra's --help ends all of a process, --info writes by one.

    What writes to a test's captured output ends with the test.
    """
    yield
    known = logging.root.manager.loggerDict.values()
    for logger in (logging.root, *(own for own in known if isinstance(own, logging.Logger))):
        logger.disabled = False
        for handler in logger.handlers[:]:
            if type(handler) is logging.StreamHandler:
                logger.removeHandler(handler)


@pytest.fixture(scope="session", autouse=True)
def kernels_folder() -> Path:
    """The user's compiled kernels, compiled before a command would say so in a test."""
    with suppress(build.CannotBuildError):
        build.build_library(lambda line: None)
    return user_cache_folder() / "kernels"


@pytest.fixture(scope="session", autouse=True)
def cache_of_all_tests(
    tmp_path_factory: pytest.TempPathFactory, kernels_folder: Path
) -> Iterator[None]:
    """An XDG_CACHE_HOME that holds nothing of the user's but compiled kernels."""
    with pytest.MonkeyPatch.context() as patch:
        cache = make_cache(tmp_path_factory, kernels_folder)
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield


def make_cache(factory: pytest.TempPathFactory, kernels: Path) -> Path:
    """A new XDG_CACHE_HOME, empty but for compiled kernels."""
    cache = factory.mktemp("cache")
    (cache / "rps_bench").mkdir()
    if kernels.is_dir():
        (cache / "rps_bench" / "kernels").symlink_to(kernels)
    return cache


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    kernels_folder: Path,
) -> Command:
    """``python -m rps_bench WORDS`` in this process and an empty folder; returns the status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RPS_BENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(make_cache(tmp_path_factory, kernels_folder)))
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
def native() -> Iterator[Native]:
    """The native kernels, compiled once; without a compiler tests that need them are skipped."""
    lines: list[str] = []
    native_module._loaded.clear()
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

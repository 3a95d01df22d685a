"""The commands of this package, asked in this process with nothing behind them that takes long.

An answer is `accepted` (the work would begin), `informed` (help and the like) or `refused` (status
2 and one line). Anything else is a `Fault`: a traceback, another line, a wait, a write elsewhere.
"""

import io
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from hydra.core.global_hydra import GlobalHydra

import rps_bench.__main__
import rps_bench.export
import rps_bench.inference.__main__
import rps_bench.inference.store
import rps_bench.launch.whole
import rps_bench.plan
import rps_bench.reports.__main__
import rps_bench.studies.__main__
from rps_bench.sweep.planning import Plan, PlannedRun

LONGEST_SECONDS = 60  # of one command line; it takes a tenth of one, so more is a hang

Door = Callable[[Sequence[str]], str]


class Fault(BaseException):
    """The command broke a promise."""


class Begun(BaseException):
    """The command took its words; the work would begin. Writes below the folders are its own."""

    def __init__(self, *folders: str | Path) -> None:
        self.folders = [os.path.abspath(folder) for folder in folders]


def ask_run(words: Sequence[str]) -> str:
    """``python -m rps_bench WORDS``, up to the first run."""

    def launch(plan: Plan, runs: Sequence[PlannedRun]) -> bool:
        raise Begun(*(config.files.results_dir for config in plan.configs))

    def main() -> None:
        with (
            patch.object(rps_bench.launch.whole, "launch", launch),
            patch.object(sys, "argv", ["rps_bench", *words]),
        ):
            rps_bench.__main__.main()

    return _ask(main)


def ask_plan(words: Sequence[str]) -> str:
    """``python -m rps_bench.plan WORDS``, whole."""
    return _ask(lambda: rps_bench.plan.main(words))


def ask_export(words: Sequence[str]) -> str:
    """``python -m rps_bench.export WORDS``, whole: there is no such run."""
    return _ask(lambda: rps_bench.export.main(words))


def ask_inference(words: Sequence[str]) -> str:
    """``python -m rps_bench.inference WORDS``, up to the first measurement."""
    begin = patch.object(rps_bench.inference.store, "run_inference", _begin)
    with begin:
        return _ask(lambda: rps_bench.inference.__main__.main(words))


def ask_studies(words: Sequence[str]) -> str:
    """``python -m rps_bench.studies WORDS``, up to the first number."""
    module = rps_bench.studies.__main__
    with patch.object(module, "run_study", _begin), patch.object(module, "draw_study", _begin):
        return _ask(lambda: module.main(words))


def ask_reports(words: Sequence[str]) -> str:
    """``python -m rps_bench.reports WORDS``, whole: there are no records."""
    return _ask(lambda: rps_bench.reports.__main__.main(words))


def _begin(*arguments: object) -> None:
    raise Begun


def _ask(main: Callable[[], Any]) -> str:
    """Call a door, which returns or exits with the status, in an empty folder; judge its answer."""
    out, err = io.StringIO(), io.StringIO()
    folders: list[str] = []
    with _empty_folder(), _writes() as written, _alarm():
        with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("always")
            try:
                status = main()
            except SystemExit as stop:
                status = stop.code
            except Begun as begun:
                status, folders = "begun", begun.folders
            except Exception as error:
                raise Fault(f"{type(error).__name__}: {error}"[:2000]) from error
            finally:
                GlobalHydra.instance().clear()
        own = [path for path in written if not any(_lies_in(path, folder) for folder in folders)]
    lines = err.getvalue().splitlines()
    if own and "cannot be written" not in err.getvalue():
        raise Fault(f"it wrote {own[:3]}")
    if "Traceback" in err.getvalue():
        raise Fault(err.getvalue()[-2000:])
    if status == "begun":
        return "accepted"
    if status in (0, None) and not lines:
        return "informed"
    if status == 2 and len(lines) == 1 and lines[0].startswith("rps_bench: error: "):
        return "refused"
    raise Fault(f"status {status}, lines {lines[:5]}")


def _lies_in(path: str, folder: str) -> bool:
    """Whether the path is the folder, in it, or above it and made on the way."""
    return path == folder or path.startswith(f"{folder}/") or folder.startswith(f"{path}/")


@contextmanager
def _empty_folder() -> Iterator[None]:
    """An empty current folder within an empty home."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as home:
        current = Path(home) / "current"
        current.mkdir()
        own = {"HOME": home, "XDG_CACHE_HOME": f"{home}/cache", "HYDRA_FULL_ERROR": "1"}
        with patch.dict(os.environ, own):
            os.environ.pop("RPS_BENCH_DATA", None)
            os.chdir(current)
            try:
                yield
            finally:
                os.chdir(before)


@contextmanager
def _alarm() -> Iterator[None]:
    """End what takes too long."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Fault(f"no answer within {LONGEST_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.alarm(LONGEST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


_watched: list[str] | None = None  # what is written, while somebody looks

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate",
    "os.chmod", "shutil.rmtree", "os.mkfifo", "os.mknod",
}  # fmt: skip


def _note_writes(event: str, arguments: tuple[Any, ...]) -> None:
    """Python's audit hook: hears of every file that is opened or changed."""
    if _watched is None or event not in _CHANGES | {"open"}:
        return
    path = arguments[0]
    is_write = event != "open" or bool(arguments[2] & _WRITING)
    is_of_a_tree = event in ("os.remove", "os.rmdir") and arguments[-1] != -1  # shutil.rmtree's
    if is_write and not is_of_a_tree and isinstance(path, str | bytes | os.PathLike):
        place = os.path.abspath(os.fsdecode(path))
        if not place.startswith(("/dev/", "/proc/")) and "__pycache__" not in place:
            _watched.append(place)


sys.addaudithook(_note_writes)


@contextmanager
def _writes() -> Iterator[list[str]]:
    """The paths that are written meanwhile."""
    global _watched
    _watched = written = list[str]()
    try:
        yield written
    finally:
        _watched = None


DOORS: dict[str, Door] = {
    "rps_bench": ask_run,
    "rps_bench.plan": ask_plan,
    "rps_bench.export": ask_export,
    "rps_bench.inference": ask_inference,
    "rps_bench.studies": ask_studies,
    "rps_bench.reports": ask_reports,
}

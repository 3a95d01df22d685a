"""Who reads the output may leave: the work goes on, and the command ends quietly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rps_bench.core.errors import UserError
from rps_bench.core.output import command, outliving_readers

TINY = ("recipe=smoke", "recipe.max_steps_per_epoch=1", "arch.width=2", "device=cpu")
COMMANDS = {
    "help": ["rps_bench", "--help"],
    "flags": ["rps_bench", "--hydra-help"],
    "config": ["rps_bench", "--cfg", "all"],
    "plan": ["rps_bench.plan", "-m", "seed=range(300)"],
    "export": ["rps_bench.export", "--help"],
    "reports": ["rps_bench.reports", "--help"],
    "studies": ["rps_bench.studies", "--help"],
    "inference": ["rps_bench.inference", "--help"],
    "tracking": ["rps_bench.tracking", "sync", "--help"],
    "dashboard": ["rps_bench.reports.dashboard", "report", "--help"],
}


def left_alone(words: list[str], folder: Path, closes_errors: bool = False) -> tuple[int, str]:
    """A command whose reader has left before its first line: exit status and standard error."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=writing,
            stderr=writing if closes_errors else subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_quietly(name: str, tmp_path: Path) -> None:
    assert left_alone(COMMANDS[name], tmp_path) == (0, "")


@pytest.mark.parametrize(("processes", "closes_errors"), [(1, False), (2, True)])
def test_training_goes_on(processes: int, closes_errors: bool, tmp_path: Path) -> None:
    words = ["rps_bench", "-m", f"processes={processes}", "method=mag,rand", *TINY]
    assert left_alone(words, tmp_path, closes_errors) == (0, "")
    assert len(list((tmp_path / "results" / "records").rglob("*.json"))) == 2


def test_reports_are_written(tmp_path: Path) -> None:
    assert left_alone(["rps_bench", *TINY], tmp_path) == (0, "")
    status, notes = left_alone(["rps_bench.reports", "--only", "table"], tmp_path)
    assert (status, "Traceback" in notes) == (0, False)
    assert (tmp_path / "results" / "summary.md").is_file()


def test_bad_input_keeps_its_status(tmp_path: Path) -> None:
    assert left_alone(["rps_bench", "method=foo"], tmp_path, closes_errors=True) == (2, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_loses_output_only_and_is_told(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rps_bench", *TINY],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    told = "standard output: not all was printed (No space left on device)"
    assert (done.returncode, done.stderr) == (1, f"rps_bench: error: {told}\n")
    assert len(list((tmp_path / "results" / "records").rglob("*.json"))) == 1


def test_a_stream_that_was_closed_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with outliving_readers():
        print("nobody hears this")
        assert not sys.stdout.isatty()
    assert sys.stdout is None


def test_streams_are_given_back() -> None:
    before = sys.stdout, sys.stderr
    with pytest.raises(ZeroDivisionError), outliving_readers():
        raise ZeroDivisionError
    assert (sys.stdout, sys.stderr) == before


def test_a_door_says_what_is_wrong_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def refuse(error: Exception) -> int:
        raise error

    assert refuse(UserError("not so")) == 2
    assert refuse(OSError(28, "No space left", "a/b")) == 1
    lines = ["rps_bench: error: not so", "rps_bench: error: a/b: No space left"]
    assert capsys.readouterr().err.splitlines() == lines
    with pytest.raises(ZeroDivisionError):
        refuse(ZeroDivisionError())

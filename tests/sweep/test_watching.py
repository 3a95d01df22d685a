"""``plan --watch``: a sweep that others do, on a terminal and in a log, leaving no trace."""

import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from rps_bench import plan
from rps_bench.core.console import say
from rps_bench.core.errors import UserError
from rps_bench.records.build import record_failure
from rps_bench.runtime import locks
from rps_bench.runtime.locks import find_processes
from rps_bench.sweep import watching
from rps_bench.sweep.command_line import take_watch
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.checkpoints import Checkpoints
from tests.conftest import Command
from tests.sweep.test_forecast import keep_state
from tests.terminal import ROWS, OnTerminal, show
from tests.users import as_b, give_to_a, need_players

WORDS = (
    *("-m", "method=mag,rand", "compression=2", "recipe=smoke", "recipe.epochs=2"),
    *("arch.width=2", "device=cpu", "engine=plain", "precision=fp32"),
)
Step = Callable[[], object]


@pytest.fixture
def watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[str]]]:
    """Watches; between two looks one step is done."""
    monkeypatch.chdir(tmp_path)

    def watch(*steps: Step) -> tuple[int, list[str]]:
        left: Iterator[Step] = iter(steps)
        monkeypatch.setattr(watching, "sleep", lambda seconds: next(left)())
        capsys.readouterr()
        status = plan.main([*WORDS, "--watch"])
        assert list(left) == []
        return status, capsys.readouterr().out.splitlines()

    return watch


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def nothing() -> None:
    pass


def test_each_change_is_a_line_until_all_is_recorded(
    watched: Callable[..., tuple[int, list[str]]], command: Command, tmp_path: Path
) -> None:
    mag, rand = plan_runs(WORDS[1:], True).configs
    held = ExitStack()
    folder = tmp_path / "results"
    words = [word for word in WORDS if word not in ("-m", "method=mag,rand")]

    def begin() -> None:
        keep_state(mag, 0, mag.recipe.steps_per_epoch(1437))
        held.enter_context(Checkpoints(folder, "some", say).in_use(mag.run_id))

    def end() -> None:
        held.close()
        record_failure(rand, "it broke")

    train = [lambda name=name: command(*words, f"method={name}") for name in ("mag", "rand")]
    status, lines = watched(begin, nothing, end, nothing, *train)
    assert status == 0
    own = [
        line for line in lines if re.search("^sweep|  (new|begun|in progress|failed|compl)", line)
    ]
    process = f"  process {os.getpid()}" if locks.SYSTEM_LOCKS.is_file() else ""
    assert own == [
        "sweep: 0 of 2 recorded, 2 left; no process is at it",
        f"{mag.run_id}  in progress  epoch 1/2{process}",
        "sweep: 0 of 2 recorded, 1 running, 1 left",
        f"{mag.run_id}  new",
        f"{rand.run_id}  failed",
        "sweep: 0 of 2 recorded, 1 failed, 1 left; no process is at it",
        f"{mag.run_id}  completed",
        "sweep: 1 of 2 recorded, 1 failed; no process is at it",
        f"{rand.run_id}  completed",
        "sweep: 2 of 2 recorded",
    ]


def test_what_is_recorded_is_not_waited_for(
    watched: Callable[..., tuple[int, list[str]]], command: Command
) -> None:
    assert command(*WORDS) == 0
    assert watched() == (0, ["sweep: 2 of 2 recorded"])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_what_is_left(
    number: int, status: int, watched: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    mag, _ = plan_runs(WORDS[1:], True).configs
    record_failure(mag, "before anybody watched")
    found, lines = watched(nothing, lambda: signal.raise_signal(number))
    assert found == status
    assert lines == [
        "sweep: 0 of 2 recorded, 1 failed, 1 left; no process is at it",
        "watched no longer: 2 of 2 runs are not recorded",
    ]


def test_the_picture_fits_a_terminal(tmp_path: Path) -> None:
    words = [*WORDS, "seed=range(40)"]
    config = plan_runs([*words[1:], f"results_dir={tmp_path}/results"], True).configs[33]
    held = Checkpoints(tmp_path / "results", "some", say).in_use(config.run_id)
    with held, OnTerminal(tmp_path, "rps_bench.plan", *words, "--watch", "1") as terminal:
        terminal.wait_for("80 recorded, 1 running")
        terminal.wait_for("(?s)80 recorded.*80 recorded")  # drawn again
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
    lines = [line for line in show(terminal.text) if line]
    assert len(lines) < ROWS
    assert lines[0].split()[:2] == ["run", "state"]
    assert lines[1].startswith(f"{config.run_id}  in")
    assert lines[-3:] == [
        f"and {80 - (len(lines) - 4)} new",
        "sweep: 0 of 80 recorded, 1 running, 79 left",
        "watched no longer: 80 of 80 runs are not recorded",
    ]


STOPPED = """
import signal, sys
from rps_bench import plan
from rps_bench.sweep import watching
watching.sleep = lambda seconds: signal.raise_signal(signal.SIGTERM)
sys.exit(plan.main(sys.argv[1:]))
"""


def test_a_folder_that_others_own_is_only_read(command: Command, tmp_path: Path) -> None:
    need_players()
    words = [*WORDS, f"results_dir={tmp_path}/results"]
    _, rand = plan_runs(words[1:], True).configs
    assert command(*[*words[:1], "method=mag", *words[2:]]) == 0
    folder = tmp_path / "results"
    with Checkpoints(folder, "some", say).in_use(rand.run_id):
        give_to_a(folder)
        before = {path: path.stat() for path in sorted(folder.rglob("*"))}
        ended = as_b("-c", STOPPED, *words, "--watch")
        assert {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))} == {
            path: facts.st_mtime_ns for path, facts in before.items()
        }
    assert ended.stderr == ""
    assert ended.returncode == 143
    assert "sweep: 1 of 2 recorded, 1 running" in ended.stdout
    assert re.search(rf"{rand.run_id}  in progress  epoch 0/2", ended.stdout)


@pytest.mark.parametrize(
    ("words", "rest", "seconds"),
    [
        (["-m", "seed=1"], ["-m", "seed=1"], None),
        (["--watch", "seed=1"], ["seed=1"], 5.0),
        (["seed=1", "--watch"], ["seed=1"], 5.0),
        (["--watch", "2.5", "seed=1"], ["seed=1"], 2.5),
        (["seed=1", "--watch=60"], ["seed=1"], 60.0),
        (["--watch", "-m", "seed=1"], ["-m", "seed=1"], 5.0),
        (["--watch", "~tune"], ["~tune"], 5.0),
        (["--watch", "+a=1"], ["+a=1"], 5.0),
    ],
)
def test_seconds_are_told_from_words(
    words: Sequence[str], rest: list[str], seconds: float | None
) -> None:
    assert take_watch(words) == (rest, seconds)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--watch", "0"], "--watch takes seconds from 1 to 3600 between two looks, got '0'"),
        (["--watch=nan"], "--watch takes seconds from 1 to 3600 between two looks, got 'nan'"),
        (["--watch="], "--watch takes seconds from 1 to 3600 between two looks, got ''"),
        (["--watch", "soon"], "--watch takes seconds from 1 to 3600 between two looks, got soon"),
        (["--watch", "--watch"], "--watch is given once"),
    ],
)
def test_wrong_seconds_are_one_line(words: Sequence[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        take_watch(words)
    assert str(error.value) == message


def test_processes_are_found_by_their_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoints" / "some" / "run-it.lock"
    path.parent.mkdir(parents=True)
    path.touch()
    facts = path.stat()
    file = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"
    system = tmp_path / "locks"
    monkeypatch.setattr(locks, "SYSTEM_LOCKS", system)
    assert find_processes(tmp_path) == {}
    for line, found in {
        f"1: FLOCK  ADVISORY  WRITE 12 {file} 0 EOF": {"it": 12},
        f"1: -> FLOCK  ADVISORY  WRITE 12 {file} 0 EOF": {},  # it waits
        f"1: FLOCK  ADVISORY  WRITE 0 {file} 0 EOF": {},  # it cannot be seen from here
        f"1: FLOCK  ADVISORY  WRITE 12 {file}1 0 EOF": {},
        "noise": {},
    }.items():
        system.write_text(line + "\n")
        assert find_processes(tmp_path) == found

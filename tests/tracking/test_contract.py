"""What every tracker has to keep: each runs the same stories, and each is read by its own reader.

A tracker that shows runs nowhere must show none, and be silent like all others.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rps_bench.tracking import TRACKERS, Tracker, build_tracker
from rps_bench.tracking.relay import worker_process
from rps_bench.tracking.relay.journal import find_journals, take_journal
from rps_bench.tracking.relay.tracker import RelayTracker
from tests.conftest import Disk
from tests.patience import wait_until
from tests.tracking.boards import READERS, Board
from tests.tracking.conftest import describe, epoch, make_record, require

ROOT = Path(__file__).resolve().parents[2]
RUN_ID = "digits-resnet20-mag-10x-smoke-s0"
Errors = pytest.CaptureFixture[str]
# A run that is killed after its first epoch.
KILLED = """
import os, sys
from pathlib import Path
from rps_bench.tracking import build_tracker
from tests.tracking.conftest import describe, epoch
tracker = build_tracker(sys.argv[1])
tracker.start(describe(Path(sys.argv[2]), method="killed"))
tracker.log_epoch(0, epoch(1))
os.kill(os.getpid(), 9)
"""
# A whole run, one of several at the same time.
WHOLE = """
import sys
from pathlib import Path
from rps_bench.tracking import build_tracker
from tests.tracking.conftest import describe, epoch, make_record
run = describe(Path(sys.argv[2]), seed=int(sys.argv[3]))
with build_tracker(sys.argv[1]) as tracker:
    tracker.start(run)
    for number in (1, 2, 3, 4):
        tracker.log_epoch(0, epoch(number))
    tracker.finish(make_record(run))
"""


@pytest.fixture(params=TRACKERS)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    require(request.param)
    return Board(request.param, tmp_path)


RELAYED = [name for name, tracker in TRACKERS.items() if issubclass(tracker, RelayTracker)]


@pytest.fixture(params=RELAYED)
def relayed(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    require(request.param)
    return Board(request.param, tmp_path)


def complete(tracker: Tracker, folder: Path) -> Callable[[], None]:
    run = describe(folder)
    tracker.start(run)
    for number in (1, 2, 3, 4):
        tracker.log_epoch(0, epoch(number))
    return lambda: tracker.finish(make_record(run))


def diverge(tracker: Tracker, folder: Path) -> Callable[[], None]:
    run = describe(folder, method="hashednet", label="hashednet (init_std=1)")
    tracker.start(run)
    tracker.log_epoch(0, epoch(1))
    return lambda: tracker.finish(make_record(run, "diverged"))


def crash(tracker: Tracker, folder: Path) -> Callable[[], None]:
    tracker.start(describe(folder, method="snip"))
    tracker.log_epoch(0, epoch(1))
    error = RuntimeError("out of luck\nand more")
    return lambda: tracker.__exit__(RuntimeError, error, None)


def interrupt(tracker: Tracker, folder: Path) -> Callable[[], None]:
    """The first command of a run that is resumed."""
    tracker.start(describe(folder, method="ltr"))
    tracker.log_epoch(0, epoch(1))
    tracker.log_epoch(0, epoch(2))
    return lambda: tracker.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)


def resume(tracker: Tracker, folder: Path) -> Callable[[], None]:
    """The second: epoch 2 again, then on, over levels."""
    run = describe(folder, method="ltr")
    tracker.start(run)
    for level, number in ((0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)):
        tracker.log_epoch(level, epoch(number))
    return lambda: tracker.finish(make_record(run))


def start_process(program: str, *words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module", params=TRACKERS)
def stories(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Board:
    """All runs at once: most of their time is the packages' start."""
    require(request.param)
    board = Board(request.param, tmp_path_factory.mktemp("results"))
    killed = start_process(KILLED, board.tracker, board.results_dir)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    ends = [
        story(build_tracker(board.tracker), board.results_dir)
        for story in (complete, diverge, crash, interrupt)
    ]
    for end in ends:
        end()
    resume(build_tracker(board.tracker), board.results_dir)()
    return board


def test_every_tracker_has_a_reader() -> None:
    assert set(READERS) == set(TRACKERS)


def test_a_completed_run(stories: Board) -> None:
    for shown in stories.find("mag"):
        assert (shown.name, shown.group) == ("mag-10x-s0", "digits-resnet20-smoke")
        assert shown.status == "completed"
        settings, numbers = shown.settings, shown.numbers
        assert (settings["recipe_epochs"], settings["method_rounds"], settings["seed"]) == (4, 1, 0)
        assert (settings["git_commit"], settings["version_hydra_core"]) == ("0123abc", "1.3.8")
        assert (numbers["accuracy"], numbers["best_accuracy"]) == (79, 80)
        assert numbers["test_accuracy"] == 79  # not the last row's 80
        assert (numbers["true_compression"], numbers["macs"]) == (5.5, 40_813_184)


def test_one_row_per_epoch(stories: Board) -> None:
    for shown in stories.find("mag"):
        assert shown.epochs == [1, 2, 3, 4]
        assert [row["test_accuracy"] for row in shown.rows] == [20, 40, 60, 80]


def test_a_diverged_run_says_so(stories: Board) -> None:
    for shown in stories.find("hashednet"):
        assert (shown.status, shown.name) == ("diverged", "hashednet (init_std=1)-10x-s0")
        assert (shown.numbers["diverged"], shown.numbers["drawn_accuracy"]) == (1, 10)
        assert shown.numbers["reason"].startswith("training loss not finite")
        assert shown.numbers.get("test_accuracy") is None
        assert shown.numbers.get("accuracy") is None


def test_a_run_that_crashed_is_marked_failed(stories: Board) -> None:
    for shown in stories.find("snip"):
        assert (shown.status, shown.epochs) == ("failed", [1])
        assert shown.numbers["reason"] == "RuntimeError: out of luck"
        assert shown.numbers.get("test_accuracy") is None


def test_a_resumed_run_continues_under_its_id(stories: Board) -> None:
    """On one axis over all levels; epoch 2, done again, is not repeated."""
    for shown in stories.find("ltr"):
        assert shown.status == "completed"
        assert shown.epochs == [1, 2, 3, 4, 6, 7, 8]
        assert [row["level"] for row in shown.rows] == [0, 0, 0, 0, 1, 1, 1]
        assert [row["level_epoch"] for row in shown.rows] == [1, 2, 3, 4, 2, 3, 4]


def test_a_killed_run_is_marked_by_the_worker_that_outlives_it(stories: Board) -> None:
    if stories.folder is not None:
        journals = stories.folder
        wait_until(lambda: find_journals(journals) == [], "the end of the worker")
    for shown in stories.find("killed"):
        assert (shown.status, shown.epochs) == ("interrupted", [1])


def test_several_processes_write_at_once(board: Board) -> None:
    """Each is silent, and shows all of its own."""
    processes = [start_process(WHOLE, board.tracker, board.results_dir, n) for n in range(4)]
    assert [process.communicate()[1] for process in processes] == [""] * 4
    shown = board.read().values()
    assert len(shown) == (4 if board.title else 0)
    assert all((run.status, run.epochs) == ("completed", [1, 2, 3, 4]) for run in shown)


def begin(board: Board) -> Tracker:
    tracker = build_tracker(board.tracker)
    tracker.start(describe(board.results_dir))
    tracker.log_epoch(0, epoch(1))
    return tracker


def finish(tracker: Tracker, board: Board) -> None:
    with tracker:
        tracker.log_epoch(0, epoch(2))
        tracker.finish(make_record(describe(board.results_dir)))
        tracker.log_epoch(0, epoch(3))


def test_a_good_run_is_silent_and_writes_to_its_folder(board: Board, capfd: Errors) -> None:
    finish(begin(board), board)
    assert capfd.readouterr() == ("", "")
    written = list(board.results_dir.iterdir())
    assert written == ([] if board.folder is None else [board.folder])
    assert board.folder is None or find_journals(board.folder) == []


def test_a_run_that_never_starts_is_nobodys_business(board: Board, capfd: Errors) -> None:
    with build_tracker(board.tracker) as tracker:
        tracker.finish(make_record(describe(board.results_dir)))
    assert list(board.results_dir.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def the_lines(board: Board, capfd: Errors) -> list[str]:
    """What was said: one line of a dashboard in trouble, nothing without a dashboard."""
    captured = capfd.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == (board.title is not None)
    assert all(line.startswith(f"rps_bench: {board.title}: {RUN_ID}: ") for line in lines)
    return lines


def test_a_folder_that_cannot_be_made(board: Board, capfd: Errors) -> None:
    if board.folder is not None:
        board.folder.write_text("a file")
    finish(begin(board), board)
    for line in the_lines(board, capfd):
        assert f"{board.folder}: File exists" in line
        words = f"training goes on without {board.title}, the record is complete without it"
        assert line.endswith(words)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_disk_that_fills_up_during_the_run(name: str, small_disk: Disk, capfd: Errors) -> None:
    require(name)
    board = Board(name, small_disk.folder)
    tracker = begin(board)
    wait_until(board.has_begun, "the run")
    small_disk.fill()
    finish(tracker, board)
    said = capfd.readouterr().err
    if "No space left on device" in said:
        assert len(said.splitlines()) == 1
        return
    assert said == ""  # a package may have had room for what was left in the files it had
    for shown in board.find("mag"):
        assert (shown.status, shown.epochs) == ("completed", [1, 2])


def worker_pid(tracker: Tracker) -> int:
    assert isinstance(tracker, RelayTracker)
    assert tracker._worker is not None
    return tracker._worker.pid


def test_the_worker_is_killed(relayed: Board, capfd: Errors) -> None:
    tracker = begin(relayed)
    os.kill(worker_pid(tracker), signal.SIGKILL)
    finish(tracker, relayed)
    (line,) = the_lines(relayed, capfd)
    assert "its process ended with status -9" in line


def test_a_worker_that_hangs_is_ended(
    relayed: Board, capfd: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "QUIET_SECONDS", 0.5)
    tracker = begin(relayed)
    pid = worker_pid(tracker)
    os.kill(pid, signal.SIGSTOP)
    finish(tracker, relayed)
    (line,) = the_lines(relayed, capfd)
    assert "no sign of life for 0.5 s" in line
    command = f"python -m rps_bench.tracking sync {relayed.results_dir}"
    assert line.endswith(f"its epochs wait for: {command}")
    assert not Path(f"/proc/{pid}").exists()


def test_a_worker_that_does_not_listen_holds_up_no_epoch(relayed: Board, capfd: Errors) -> None:
    """More epochs than the pipe has room for bytes; once the worker goes on it gets them all."""
    tracker = begin(relayed)
    pid = worker_pid(tracker)
    os.kill(pid, signal.SIGSTOP)
    assert isinstance(tracker, RelayTracker)
    assert tracker._worker is not None
    for _ in range(70_000):
        tracker._worker.ring()
    os.kill(pid, signal.SIGCONT)
    finish(tracker, relayed)
    assert capfd.readouterr() == ("", "")
    (shown,) = relayed.find("mag")
    assert shown.epochs == [1, 2]


def test_an_interrupted_command_leaves_and_its_worker_goes_on(
    relayed: Board, capfd: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "LEAVE_SECONDS", 0.0)
    tracker = begin(relayed)
    pid = worker_pid(tracker)
    os.kill(pid, signal.SIGSTOP)
    tracker.close()
    assert relayed.folder is not None
    (journal,) = find_journals(relayed.folder)
    assert take_journal(journal) is None  # nobody else passes on what the worker will
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the worker's end")
    assert not journal.exists()
    (shown,) = relayed.find("mag")
    assert shown.status == "interrupted"
    assert capfd.readouterr() == ("", "")


def test_an_interpreter_that_cannot_be_started(
    relayed: Board, capfd: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(relayed.results_dir / "missing"))
    finish(begin(relayed), relayed)
    (line,) = the_lines(relayed, capfd)
    assert "no process for it (No such file or directory)" in line


def test_nothing_is_left_behind(
    relayed: Board, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    tracker = begin(relayed)
    assert len(list(scratch.iterdir())) == 1
    os.kill(worker_pid(tracker), signal.SIGKILL)
    finish(tracker, relayed)
    assert list(scratch.iterdir()) == []


def test_a_run_killed_with_its_worker_goes_on_as_one_run(relayed: Board, capfd: Errors) -> None:
    """Both are killed in the middle; the command that resumes the run tells what they could not."""
    tracker = begin(relayed)
    os.kill(worker_pid(tracker), signal.SIGKILL)
    assert isinstance(tracker, RelayTracker)
    assert tracker._worker is not None
    tracker._worker.kill()
    tracker._close_journal()  # as the system does for a killed run
    finish(begin(relayed), relayed)
    assert capfd.readouterr() == ("", "")
    (shown,) = relayed.find("mag")
    assert (shown.status, shown.epochs) == ("completed", [1, 2])

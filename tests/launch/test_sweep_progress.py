"""The line of a whole sweep: on a real terminal, in a log, and when the command is stopped."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from rps_bench.config import RunConfig
from rps_bench.launch.screen import Screen
from rps_bench.launch.sweep_progress import SweepProgress
from rps_bench.records.build import record_failure
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.checkpoints import Checkpoints
from tests.alike import TINY
from tests.conftest import Command
from tests.launch.test_crew import ENDLESS, workers_of
from tests.terminal import COLUMNS, OnTerminal, show

NUMBERS = r"train loss [\d.]+  accuracy [\d.]+%  [\d.]+ s"
LINES = (
    r"\d runs in 2 processes of \d threads? each",
    rf"digits-resnet20-\S+  epoch \d+/\d+  {NUMBERS}",
    r"completed: digits-resnet20-\S+  accuracy [\d.]+%  true compression [\d.]+x",
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def configs(tmp_path: Path) -> list[RunConfig]:
    words = ["method=mag", "compression=2,3,4,5", *TINY, f"results_dir={tmp_path}"]
    return plan_runs(words, is_sweep=True).configs


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    return lambda: capsys.readouterr().out.splitlines()


def test_a_log_gets_a_line_when_runs_end_and_once_a_minute_at_most(
    configs: list[RunConfig], lines: Callable[[], list[str]]
) -> None:
    record_failure(configs[0], "before this command, which tries it again")
    clock = Clock()
    progress = SweepProgress(configs, None, clock)

    def look(seconds: float) -> list[str]:
        clock.now += seconds
        progress.look()
        return lines()

    assert look(0) == look(100) == []  # nothing has ended
    record_failure(configs[0], "again")
    assert look(1) == ["sweep: 0 of 4 recorded, 1 failed, 3 left"]
    assert look(100) == []
    record_failure(configs[1], "it broke")
    assert look(1) == ["sweep: 0 of 4 recorded, 2 failed, 2 left"]
    progress.note_tried(configs[2])  # failed without a record, as on a full disk
    assert look(59) == []
    assert look(2) == ["sweep: 0 of 4 recorded, 3 failed, 1 left"]
    record_failure(configs[3], "it broke")
    assert look(100) == []  # all is over: the table of outcomes follows


def test_runs_of_others_are_counted(
    configs: list[RunConfig], lines: Callable[[], list[str]], tmp_path: Path
) -> None:
    """They are told by their locks, and a process that is gone leaves none."""
    clock = Clock()
    progress = SweepProgress(configs, None, clock)
    progress.look()
    with Checkpoints(tmp_path, "others", print).in_use(configs[1].run_id):
        record_failure(configs[0], "it broke")
        clock.now = 100.0
        progress.look()
        assert lines() == ["sweep: 0 of 4 recorded, 1 running, 1 failed, 2 left"]


def test_a_broken_record_stops_no_sweep(configs: list[RunConfig], tmp_path: Path) -> None:
    (tmp_path / "records" / "digits" / "resnet20").mkdir(parents=True)
    name = f"{configs[0].run_id}.json"
    (tmp_path / "records" / "digits" / "resnet20" / name).write_text("{")
    with SweepProgress(configs) as progress:
        pass
    assert progress is not None


def test_colour_that_is_asked_for_makes_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert not Screen().is_drawn


def test_a_single_run_has_no_line(configs: list[RunConfig], lines: Callable[[], list[str]]) -> None:
    with pytest.raises(KeyboardInterrupt), SweepProgress(configs[:1]):
        raise KeyboardInterrupt
    assert lines() == []


def test_a_sweep_in_a_log_has_no_control_characters(
    command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command("-m", *TINY, "method=mag", "compression=2,4", "processes=1") == 0
    assert "\x1b" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("processes", [1, 2])
def test_lines_of_runs_stay_whole_on_a_terminal(processes: int, tmp_path: Path) -> None:
    words = ("-m", *TINY, "recipe.epochs=8", "method=mag,rand", "compression=2,4")
    with OnTerminal(tmp_path, "rps_bench", *words, f"processes={processes}") as terminal:
        assert terminal.end() == 0
    shown = show(terminal.text)
    until = next(number for number, line in enumerate(shown) if line.startswith("run "))
    assert [line for line in shown[:until] if not any(re.fullmatch(p, line) for p in LINES)] == []
    assert sum("epoch" in line for line in shown) == 4 * 8
    assert max(map(len, shown)) > COLUMNS  # some lines are longer than the terminal is wide
    assert [line for line in shown if line][-1] == "4 runs: 4 recorded, 0 failed"
    assert re.search(r"sweep: \d of 4 recorded, \d running", terminal.text)
    hidden, seen = terminal.text.rfind("\x1b[?25l"), terminal.text.rfind("\x1b[?25h")
    assert hidden < seen


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_last_line_of_a_stopped_sweep_is_true(
    number: int, status: int, processes: int, tmp_path: Path
) -> None:
    words = ("-m", *TINY, *ENDLESS, "method=mag,rand,snip", f"processes={processes}")
    with OnTerminal(tmp_path, "rps_bench", *words) as terminal:
        terminal.wait_for("epoch 1/")
        terminal.wait_for("sweep: 0 of 3 recorded, [12] running")
        os.killpg(terminal.process.pid, number)  # as a terminal does
        assert terminal.end() == status
    last = [line for line in show(terminal.text) if line][-2:]
    assert last == [
        "sweep: 0 of 3 recorded, 3 left",
        "rps_bench: interrupted; the same command goes on with what is missing",
    ]


def test_a_killed_process_leaves_the_lines_whole(tmp_path: Path) -> None:
    words = ("-m", *TINY, *ENDLESS, "method=mag,rand", "processes=2")
    with OnTerminal(tmp_path, "rps_bench", *words) as terminal:
        terminal.wait_for("mag-.*epoch 1/")
        terminal.wait_for("rand-.*epoch 1/")
        terminal.wait_for("sweep: 0 of 2 recorded, 2 running")
        os.kill(workers_of(terminal, 2)[0], signal.SIGKILL)
        terminal.wait_for("a process was ended by signal 9 amid")
        terminal.wait_for("sweep: 0 of 2 recorded, 1 running, 1 left")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
    assert "sweep: 0 of 2 recorded, 2 left" in show(terminal.text)

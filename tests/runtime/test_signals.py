"""Kills, interrupts and several writers, done to real processes; signals, without any."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest

from rps_bench.core.errors import UserError
from rps_bench.records import read_records
from rps_bench.runtime import signals as interrupts
from rps_bench.runtime.signals import StopError, StopSignals, undisturbed
from scripts.soak.rounds import SWEEP, Rounds
from tests.patience import PATIENCE_SECONDS, wait_until

TINY = (
    *("recipe=smoke", "recipe.batch_size=16", "recipe.max_steps_per_epoch=null"),
    *("recipe.epochs=9", "arch.width=2", "device=cpu", "precision=fp32"),
)


def send(number: int = signal.SIGTERM) -> None:
    """A signal to this process, heard by the time this returns."""
    os.kill(os.getpid(), number)
    time.sleep(0)


@pytest.mark.parametrize(
    "place",
    ["rps_bench.sweep.planning.plan_runs", "rps_bench.run.run", "rps_bench.run.load_dataset"],
)
@pytest.mark.parametrize("error", [UnboundLocalError, UserError])
def test_a_library_that_a_signal_makes_fail_has_not_failed(
    place: str,
    error: type[Exception],
    command: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """OmegaConf leaves a variable unset then, and raises for that."""

    def fail(*arguments: object, **options: object) -> None:
        try:
            send()
        except StopError:
            raise error("of its own") from None

    monkeypatch.setattr(place, fail)
    assert command(*TINY, "method=mag") == 143
    assert capsys.readouterr().err.splitlines() == [
        "rps_bench: interrupted; the same command goes on with what is missing"
    ]
    assert read_records(tmp_path / "results") == ((), ())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_process_where_it_is(number: int) -> None:
    before = signal.getsignal(number)
    with StopSignals() as signals:
        with pytest.raises(StopError) as stop:
            send(number)
        assert signals.asked == stop.value.number == number
    assert signal.getsignal(number) == before
    assert isinstance(stop.value, KeyboardInterrupt)


def test_what_is_undisturbed_is_done_first() -> None:
    done: list[int | None] = []

    def work(number: int | None) -> None:
        with undisturbed():
            if number is not None:
                send(number)
            done.append(number)

    with StopSignals():
        for number in (signal.SIGTERM, None):  # it is not forgotten
            with pytest.raises(StopError):
                work(number)
    assert done == [signal.SIGTERM, None]


def test_without_a_signal_nothing_happens() -> None:
    with StopSignals() as signals, undisturbed():
        pass
    assert signals.asked is None


def test_nested_contexts_end_with_the_outermost() -> None:
    done: list[str] = []

    def work() -> None:
        with undisturbed():
            with undisturbed():
                send()
                done.append("inner")
            done.append("outer")

    with StopSignals(), pytest.raises(StopError):
        work()
    assert done == ["inner", "outer"]


def test_what_is_undisturbed_belongs_to_the_signals_around_it() -> None:
    """A job that a launcher does in the command's own process has signals of its own."""
    with undisturbed():  # nobody hears any signal here
        pass
    with StopSignals((signal.SIGINT,)) as outer, undisturbed():
        with StopSignals() as inner, pytest.raises(StopError):
            send()
        assert (inner.asked, outer.asked) == (signal.SIGTERM, None)
        with StopSignals() as inner, pytest.raises(StopError), undisturbed():
            send()
    with undisturbed():
        pass


def test_the_second_signal_ends_the_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(interrupts, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr("rps_bench.runtime.signals.os._exit", ends.append)
    with StopSignals() as signals:
        with pytest.raises(StopError):
            send(signal.SIGINT)
        send(signal.SIGTERM)  # as timeout(1) does, to the process and to its group
        assert ends == []
        clock.now = 1.0
        send(signal.SIGTERM)
    assert ends == [143]
    assert signals.asked == signal.SIGINT


def test_a_signal_that_is_ignored_stays_so() -> None:
    """nohup, a shell's background, and Slurm's jobs, which put themselves back to the queue."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            send()
        assert signals.asked is None
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_leave_signals_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with StopSignals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


# A command that gets SIGTERM in its third epoch, when it has done a step of that.
HIT_IN_EPOCH_3 = """
import os, signal
from rps_bench.__main__ import main
from rps_bench.launch.progress import RunProgress
epochs, show_epoch, show_step = [], RunProgress.show_epoch, RunProgress.show_step
def watch_epoch(self, result):
    epochs.append(result)
    show_epoch(self, result)
def watch_step(self, *numbers):
    show_step(self, *numbers)
    if len(epochs) == 2:
        os.kill(os.getpid(), signal.SIGTERM)
RunProgress.show_epoch, RunProgress.show_step = watch_epoch, watch_step
main()
"""


class Command:
    """``python -m rps_bench WORDS`` as a process of its own, its lines in a file; a context."""

    def __init__(self, folder: Path, *words: str, code: str | None = None) -> None:
        start = ["-m", "rps_bench"] if code is None else ["-c", code]
        self.log = folder / "log"
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        with open(self.log, "a") as file:
            self.process = subprocess.Popen(
                [sys.executable, *start, *words],
                cwd=folder,
                env=environment,
                stdout=file,
                stderr=file,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def wait_for(self, pattern: str) -> None:
        """Wait for a line; the command must not end before it."""
        wait_until(lambda: self._has_said(pattern), pattern)

    def _has_said(self, pattern: str) -> bool:
        has_ended = self.process.poll() is not None  # asked before the look, which comes late then
        found = re.search(pattern, self.log.read_text()) is not None
        assert found or not has_ended, self.log.read_text()
        return found

    def end(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)


def epochs_in(log: Path) -> list[tuple[str, int]]:
    """Method and number of each epoch trained."""
    found = re.findall(r"^digits-resnet20-(\w+)-\S+  epoch (\d+)/", log.read_text(), re.MULTILINE)
    return [(method, int(epoch)) for method, epoch in found]


def begun_states(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.rglob("*.partial.safetensors"))


def test_an_interrupted_run_keeps_its_state_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = (*TINY, "method=mag", "engine=plain")  # where others are compiled, a line says so
    with Command(tmp_path, *words, code=HIT_IN_EPOCH_3) as first:
        assert first.end() == 143
    lines = [line for line in first.log.read_text().splitlines() if "epoch" not in line]
    assert lines == ["rps_bench: interrupted; the same command goes on with what is missing"]
    assert len(begun_states(tmp_path)) == 1
    assert list(tmp_path.rglob("run-*.lock"))
    assert read_records(tmp_path / "results") == ((), ())
    with Command(tmp_path, *words) as second:
        assert second.end() == 0
    assert epochs_in(first.log) == [("mag", epoch) for epoch in range(1, 10)]
    assert begun_states(tmp_path) == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # of Python from 3.12 on
@pytest.mark.slow
def test_a_short_soak(tmp_path: Path) -> None:
    sweep = [word for word in SWEEP if "cifar10" not in word]
    rounds = Rounds(tmp_path / "soak", 0, 3, sweep)
    rounds.kill_one(fresh_share=0, table=False)
    rounds.kill_some_of_many()
    counts = rounds.counts
    # Seconds are those of the machine: what took long here is no fault of the run's.
    assert [fault for fault in counts.mismatches if "to leave" not in fault] == []
    assert counts.num_recorded == 2 * len(rounds.reference.run_ids)
    assert counts.kills.total() > 2

"""Processes that share a sweep, for real: what they record, kills, signals, failures, waiting."""

import os
import re
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from rps_bench.core.console import say
from rps_bench.records import read_records
from rps_bench.runtime.cores import count_cores
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.checkpoints import Checkpoints
from tests.alike import TINY, results_of
from tests.conftest import Command
from tests.patience import wait_until
from tests.runtime.test_signals import Command as Process
from tests.runtime.test_signals import begun_states, epochs_in
from tests.terminal import OnTerminal

MANY_STEPS = ("recipe.epochs=40", "recipe.max_steps_per_epoch=4")
ENDLESS = ("recipe.epochs=100000", "recipe.batch_size=64")  # ended by a signal only
TWO = ("-m", *TINY, "processes=2")

OWN_METHODS = """
import os, signal, time
from dataclasses import dataclass
from typing import ClassVar
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.base import PruningMethod
from rps_bench.runtime.signals import undisturbed

@dataclass(frozen=True)
class Own(PruningMethod):
    name: ClassVar[str] = "own"
    def scores(self, model, probe):
        self.act()
        return flatten_weights(model).abs()
    def act(self):
        pass

@dataclass(frozen=True)
class Deadly(Own):
    name: ClassVar[str] = "deadly"
    def act(self):
        os.kill(os.getpid(), signal.SIGKILL)

@dataclass(frozen=True)
class Stuck(Own):
    name: ClassVar[str] = "stuck"
    def act(self):
        print("stuck now", os.getpid(), flush=True)
        with undisturbed():
            time.sleep(100000)

@dataclass(frozen=True)
class Faulty(Own):
    name: ClassVar[str] = "faulty"
    def act(self):
        raise ZeroDivisionError("of its own")

METHODS = {"own": Own, "deadly": Deadly, "stuck": Stuck, "faulty": Faulty}
"""


@pytest.fixture
def plugins(tmp_path: Path) -> str:
    (tmp_path / "own_methods.py").write_text(OWN_METHODS)
    return "plugins=[own_methods.py]"


def workers_of(process: Process | OnTerminal, number: int) -> list[int]:
    """The processes of a command, once there are so many."""
    wait_until(lambda: len(children_of(process.process.pid)) >= number, f"{number} processes")
    return children_of(process.process.pid)


def children_of(pid: int) -> list[int]:
    """Processes that a process of this machine has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_cores_are_divided_and_all_is_told_once(
    command: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command(*TWO, "method=mag", "compression=2,4") == 0
    records, problems = read_records(tmp_path / "results")
    assert not problems
    assert {record["config"]["compression"] for record in records} == {2.0, 4.0}
    share = max(1, count_cores() // 2)
    share = int(os.environ.get("OMP_NUM_THREADS", share))
    assert {record["provenance"]["num_threads"] for record in records} == {share}
    shown = capfd.readouterr()
    assert shown.err == ""
    first, *lines = shown.out.splitlines()
    assert re.fullmatch(rf"2 runs in 2 processes of {share} threads? each", first)
    for run_id in (record["run_id"] for record in records):
        own = [line for line in lines if run_id in line]
        assert [line.startswith("completed:") for line in own[:-1]] == [False, True]
    assert lines[-1] == "2 runs: 2 recorded, 0 failed"
    assert sum("outcome" in line for line in lines) == 1
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"records", "checkpoints"}


@pytest.mark.slow
def test_chains_and_roundings_are_those_of_one_process(command: Command, tmp_path: Path) -> None:
    words = ("-m", *TINY, "threads=1", "method=ltr,rand", "compression=1.5,2", "keep_model=true")
    for number in (1, 2):
        folder = f"results_dir=of-{number}"
        assert command(*words, "storage=exact,int8", folder, f"processes={number}") == 0
    one, two = results_of(tmp_path / "of-1"), results_of(tmp_path / "of-2")
    assert len(one) == 8
    assert one == two


@pytest.mark.slow
def test_a_killed_process_costs_no_run(tmp_path: Path) -> None:
    with Process(tmp_path, *TWO, *MANY_STEPS, "method=mag,rand,snip") as command:
        command.wait_for("epoch 1/")
        os.kill(workers_of(command, 2)[0], signal.SIGKILL)
        assert command.end() == 0
    lines = command.log.read_text().splitlines()
    told = [line for line in lines if line.startswith("a process was ended by signal 9 amid ")]
    assert len(told) == 1
    assert lines[-1] == "3 runs: 3 recorded, 0 failed"
    # What the dead one had finished is not trained again, but for the epoch that it was at.
    assert len(epochs_in(command.log)) in (120, 121)


def test_a_run_that_kills_its_processes_is_told(plugins: str, tmp_path: Path) -> None:
    with Process(tmp_path, *TWO, plugins, "method=deadly,own") as command:
        assert command.end() == 1
    text = command.log.read_text()
    assert "amid digits-resnet20-deadly" in text
    assert re.search(r"^failed: \S+-deadly-\S+  each process .* ended by signal 9$", text, re.M)
    assert text.splitlines()[-1] == "2 runs: 1 recorded, 1 failed"
    assert re.search(r"deadly-\S+ +not recorded", text)


def test_a_failure_stops_no_other_run(plugins: str, tmp_path: Path) -> None:
    with Process(tmp_path, *TWO, plugins, "method=faulty,own", "compression=2,4") as command:
        assert command.end() == 1
    records, _ = read_records(tmp_path / "results")
    outcomes = sorted((record["config"]["method"], record["status"]) for record in records)
    assert outcomes == [("faulty", "failed")] * 2 + [("own", "completed")] * 2
    assert command.log.read_text().count("Traceback") == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_stops_its_processes_first(
    number: int, status: int, tmp_path: Path
) -> None:
    with Process(tmp_path, *TWO, *ENDLESS, "method=mag,rand,snip") as command:
        command.wait_for("mag-.*epoch 1/")
        command.wait_for("rand-.*epoch 1/")
        workers = workers_of(command, 2)
        # A terminal sends its signal to all of them.
        for pid in (*workers, command.process.pid):
            os.kill(pid, number)
        assert command.end() == status
        assert not any(map(is_alive, workers))
    lines = [line for line in command.log.read_text().splitlines() if "epoch" not in line]
    assert lines[1:] == [
        "sweep: 0 of 3 recorded, 3 left",
        "rps_bench: interrupted; the same command goes on with what is missing",
    ]
    assert len(begun_states(tmp_path)) == 2


def test_the_second_signal_leaves_at_once(plugins: str, tmp_path: Path) -> None:
    with Process(tmp_path, *TWO, plugins, "method=stuck", "compression=2,4") as command:
        wait_until(lambda: command.log.read_text().count("stuck now") == 2, "both to be stuck")
        workers = workers_of(command, 2)
        command.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            command.process.wait(1)
        command.process.send_signal(signal.SIGINT)
        assert command.end() == 130
        wait_until(lambda: not any(map(is_alive, workers)), "the processes to end")


def test_processes_of_a_killed_command_end_by_themselves(tmp_path: Path) -> None:
    with Process(tmp_path, *TWO, *ENDLESS, "method=mag,rand") as command:
        command.wait_for("mag-.*epoch 1/")
        command.wait_for("rand-.*epoch 1/")
        workers = workers_of(command, 2)
        command.process.kill()
        command.process.wait()
        wait_until(lambda: not any(map(is_alive, workers)), "the processes to end")
    assert len(begun_states(tmp_path)) == 2
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.slow
def test_a_run_of_another_command_is_waited_for(tmp_path: Path) -> None:
    words = [*TINY, "method=mag", "compression=2,4", "engine=plain"]
    first, _ = plan_runs(words, is_sweep=True).configs
    name = first.checkpoint_name(False, "fp32", "plain", 1437)
    others = Checkpoints(tmp_path / "results", name, say)
    held = ExitStack()
    held.enter_context(others.in_use(first.run_id))
    with held, Process(tmp_path, *TWO, *words) as command:
        command.wait_for(rf"waiting for other processes: {first.run_id}\n")
        assert "completed: digits-resnet20-mag-4x" in command.log.read_text()
        held.close()
        assert command.end() == 0
    assert command.log.read_text().count("waiting for other processes") == 1

"""Kills, interrupts and many writers, for a while: is anything lost, torn or done twice?

    python scripts/soak.py [minutes=10] [seed=0] [writers=8] [folder=a temporary one]

A small sweep is done once undisturbed. Then rounds in fresh folders: the same sweep with one
process that is killed or interrupted at random instants and started again until it is done, and
with several processes at once, some of them killed. Every round must give the records and model
files of the undisturbed sweep. Prints counts; exits with 1 if anything differed, and keeps that
round's folder.

Most processes are forks of this one, which has imported everything, so that a kill falls into the
work rather than into seconds of imports; some are started anew.
"""

import faulthandler
import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sklearn.datasets  # noqa: F401  (imported before forks, as are those below)
import torch
from PIL import Image

import rps_bench.rounding
import rps_bench.run  # noqa: F401
from rps_bench.__main__ import main as train
from rps_bench.datasets.info import DATASETS
from rps_bench.records import read_records
from rps_bench.reports.__main__ import main as report
from rps_bench.sweep import plan_runs

SWEEP = (
    *("-m", "dataset=digits,cifar10", "method=stable_rps,mag,ltr", "compression=1.5"),
    *("storage=exact,int8", "keep_model=true", "exclude=[{dataset: cifar10, method: [mag, ltr]}]"),
    *("recipe=smoke", "recipe.max_steps_per_epoch=8", "recipe.batch_size=16", "arch.width=2"),
    *("device=cpu", "precision=fp32", "threads=1", "checkpoint_seconds=0.1"),
)
TABLE = ("results", "--only", "table")
NUM_IMAGES = {"train": 200, "test": 60}  # of the made-up CIFAR-10
LEAVE_SECONDS = 5.0  # what a first SIGTERM or SIGINT may take
STUCK_SECONDS = 600.0
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
UNLIKE = {"provenance", "train_seconds", "total_train_seconds", "images_per_second"} | {
    "peak_memory_bytes"
}
# The first of these that is on the stack tells what a process was at.
PLACES = {
    "write_record": "recording",
    "keep_model": "writing a model",
    "keep_checkpoint": "keeping a state",
    "keep_snapshot": "keeping a state",
    "finish": "keeping a level",
    "build_cache": "decoding images",
    "load_dataset": "reading images",
    "evaluate": "evaluating",
    "train_epoch": "training",
    "_measure": "measuring",
    "work_through": "between steps of work",
    "_run_all": "planning",
    "save_table": "building the table",
}
EPOCH = re.compile(r"^(\S+)  (?:(level \d+)\S* \S+ \S+  )?epoch (\d+)/", re.MULTILINE)
RECORDED = re.compile(r"^completed: (\S+)", re.MULTILINE)
FRESH = """
import faulthandler, runpy, signal, sys
faulthandler.register(signal.SIGUSR1, open(sys.argv.pop(1), "w"), all_threads=False)
runpy.run_module("rps_bench", run_name="__main__", alter_sys=True)
"""


@dataclass
class Counts:
    """What a soak met."""

    kills: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    rounds: Counter[str] = field(default_factory=Counter)
    num_recorded: int = 0
    num_redone: int = 0
    slowest_leave_seconds: float = 0.0
    mismatches: list[str] = field(default_factory=list)

    def show(self) -> None:
        """Print all of it."""
        print(f"rounds: {_listed(self.rounds)}")
        print(f"kills survived: {self.kills.total()} ({_listed(self.kills)})")
        print(f"killed while: {_listed(self.places)}")
        print(f"runs recorded: {self.num_recorded}; epochs done again: {self.num_redone}")
        print(f"slowest clean leave: {self.slowest_leave_seconds:.2f} s")
        print(f"mismatches: {len(self.mismatches)}", *self.mismatches, sep="\n  ")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in counts.most_common())


class Child:
    """A process at the sweep, or at its table, with its output and its last stack in files."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid, self.log, self.status = pid, log, None

    pid: int
    log: Path
    status: int | None  # the exit status, a signal as a negative number

    def has_ended(self) -> bool:
        """Look, without waiting."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def wait(self, seconds: float) -> bool:
        """Wait for its end for so long; tell whether it came."""
        deadline = time.monotonic() + seconds
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.status is not None

    def place(self) -> str:
        """What it is at."""
        stack = self.log.with_suffix(".stack")
        if not stack.is_file() or self.has_ended():
            return "starting"
        os.kill(self.pid, signal.SIGUSR1)
        self.wait(0.01)
        names = set(re.findall(r" in (\w+)$", stack.read_text(), re.MULTILINE))
        return next((place for name, place in PLACES.items() if name in names), "starting")


class Folder:
    """A results folder in which the sweep is done, and the processes that were at it."""

    def __init__(self, path: Path, data: Path) -> None:
        self.path, self.data, self.children = path, data, list[Child]()
        self.seen: dict[Path, bytes] = {}
        path.mkdir(parents=True)

    def start(
        self,
        call: Callable[[], Any] = train,
        words: Sequence[str] = SWEEP,
        is_fresh: bool = False,
        deadly: int | None = None,
    ) -> Child:
        """A process at the sweep: a fork, or a fresh one; it may end at its n-th write."""
        log = self.path / f"{len(self.children)}.log"
        environment = os.environ | {"XDG_CACHE_HOME": str(self.path / "cache")}
        environment["RPS_BENCH_DATA"] = str(self.data)
        if is_fresh:
            command = [sys.executable, "-c", FRESH, str(log.with_suffix(".stack")), *words]
            with log.open("w") as file:
                options: Any = {"stdout": file, "stderr": file, "env": environment}
                pid = subprocess.Popen(command, cwd=self.path, **options).pid
        elif (pid := os.fork()) == 0:
            os.environ.update(environment)
            _work(call, words, self.path, log, deadly)
        self.children.append(Child(pid, log))
        return self.children[-1]

    def epochs(self) -> Counter[tuple[str, ...]]:
        """How often each epoch was trained to its end, as the processes said."""
        return Counter(found for log in self._logs() for found in EPOCH.findall(log))

    def recordings(self) -> Counter[str]:
        """How often each run was said to be recorded."""
        return Counter(found for log in self._logs() for found in RECORDED.findall(log))

    def _logs(self) -> list[str]:
        return [child.log.read_text(errors="replace") for child in self.children]

    def records(self) -> tuple[dict[str, Any], list[str]]:
        """Records by run without what no two runs have in common; what is wrong with files."""
        records, problems = read_records(self.path / "results")
        wrong = [f"{problem.path}: {problem.reason}" for problem in problems]
        return {record["run_id"]: _same_part(record) for record in records}, wrong

    def models(self) -> dict[str, bytes]:
        """The compressed files by run."""
        paths = (self.path / "results" / "models").rglob("*.safetensors")
        return {path.stem: path.read_bytes() for path in paths}

    def find_changed_records(self) -> list[str]:
        """Records that are not what they were at the last look."""
        paths = (self.path / "results" / "records").rglob("*.json")
        now = {path: path.read_bytes() for path in paths}
        changed = [f"{path} was written again" for path, b in self.seen.items() if now[path] != b]
        self.seen = now
        return changed


def _same_part(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _same_part(child) for key, child in value.items() if key not in UNLIKE}
    return [_same_part(child) for child in value] if isinstance(value, list) else value


def _work(
    call: Callable[[], Any], words: Sequence[str], folder: Path, log: Path, deadly: int | None
) -> None:
    """What a fork does; it does not return."""
    status: Any = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        faulthandler.register(
            signal.SIGUSR1, log.with_suffix(".stack").open("w"), all_threads=False
        )
        os.chdir(folder)
        descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb", 0), write_through=True)
                                  for n in (1, 2))  # fmt: skip
        sys.argv = ["rps_bench", *words]
        if deadly is not None:
            _die_at_write(deadly)
        status = call()
    except SystemExit as leaving:
        status = leaving.code
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    finally:
        os._exit(status or 0)


def _die_at_write(deadly: int) -> None:
    """SIGKILL to this process before or after its n-th sync or rename."""
    count = 0

    def mortal(change: Callable[..., Any]) -> Callable[..., Any]:
        def change_or_die(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count == deadly and deadly % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = change(*arguments)
            if count == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return change_or_die

    os.replace, os.fsync = mortal(os.replace), mortal(os.fsync)


def write_images(root: Path, num_images: Mapping[str, int] = NUM_IMAGES) -> None:
    """A made-up CIFAR-10, so that something is decoded."""
    info = DATASETS["cifar10"]
    assert info.hub is not None
    folder = root / info.hub.local_folder
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for split, count in num_images.items():
        rows = []
        for pixels in generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            rows.append({"bytes": buffer.getvalue(), "path": None})
        table = pa.table({"img": pa.array(rows, kind), "label": [i % 10 for i in range(count)]})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")


class Soak:
    """Rounds, and what they met.

    Args:
        folder: Where rounds have their folders; those that differed stay.
        seed: Of instants and signals.
        num_writers: Processes at once in the rounds of many.
        sweep: The command's words.
    """

    def __init__(
        self, folder: Path, seed: int, num_writers: int = 8, sweep: Sequence[str] = SWEEP
    ) -> None:
        self.folder, self.num_writers, self.sweep = folder, num_writers, sweep
        self.random, self.counts = random.Random(seed), Counts()
        self.data = folder / "data"
        write_images(self.data)
        self.run_ids = {run.run_id for run in plan_runs(sweep[1:], is_sweep=True).configs}
        self.start_seconds, self.seconds = 0.0, 0.0
        self.records, self.models = self._make_reference()

    def _make_reference(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        """The sweep undisturbed, and how long it takes."""
        folder, started = Folder(self.folder / "undisturbed", self.data), time.monotonic()
        child = folder.start(words=self.sweep)
        child.wait(STUCK_SECONDS)
        self.seconds = time.monotonic() - started
        assert child.status == 0, child.log.read_text()
        records, wrong = folder.records()
        assert (records.keys(), wrong) == (self.run_ids, []), wrong
        return records, folder.models()

    def kill_one(self, fresh_share: float = 0.15, table: bool = True) -> None:
        """A round with one process at a time, killed and started again until it is done."""
        folder, num_before = self._begin("one process"), self.counts.kills.total()
        while True:
            is_fresh = self.random.random() < fresh_share
            deadly = None
            if not is_fresh and self.random.random() < 0.3:
                deadly = self.random.randint(1, 30)
            child = folder.start(words=self.sweep, is_fresh=is_fresh, deadly=deadly)
            self._disturb(folder, child, self.seconds / 3 + 5 * is_fresh, deadly)
            if child.status == 0 and folder.find_changed_records() == []:
                break
        self._compare(folder, self.counts.kills.total() - num_before)
        if table:
            self._kill_table(folder)
        self._end(folder)

    def kill_some_of_many(self) -> None:
        """A round with several processes at once, half of which are killed."""
        folder, num_before = self._begin("many writers"), self.counts.kills.total()
        children = [folder.start(words=self.sweep) for _ in range(self.num_writers)]
        for child in children[: self.num_writers // 2]:
            self._disturb(folder, child, self.seconds, None)
        for child in children:
            if not child.wait(STUCK_SECONDS):
                self._fault(folder, f"process {child.log.name} is stuck")
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                child.wait(STUCK_SECONDS)
        for child in children[self.num_writers // 2 :]:
            if child.status != 0:
                self._fault(folder, f"{child.log.name} ended with {child.status}")
        again = folder.start(words=self.sweep)
        again.wait(STUCK_SECONDS)
        if folder.epochs().total() and EPOCH.search(again.log.read_text()):
            self._fault(folder, "something was left to do")
        self._compare(folder, self.counts.kills.total() - num_before)
        self._end(folder)

    def _kill_table(self, folder: Folder) -> None:
        """The table of a finished sweep, killed while it is built."""
        table = folder.path / "results" / "table.csv"
        started = time.monotonic()
        folder.start(report, TABLE).wait(STUCK_SECONDS)
        seconds, whole = time.monotonic() - started, table.read_bytes()
        for deadly in (None, self.random.randint(1, 8)):
            table.unlink()
            child = folder.start(report, TABLE, deadly=deadly)
            self._disturb(folder, child, seconds, deadly, (signal.SIGKILL,))
            if table.is_file() and table.read_bytes() != whole:
                self._fault(folder, "the table is torn")
            folder.start(report, TABLE).wait(STUCK_SECONDS)
            if table.read_bytes() != whole:
                self._fault(folder, "the table is another one")

    def _disturb(
        self,
        folder: Folder,
        child: Child,
        longest: float,
        deadly: int | None,
        signals: Sequence[int] = SIGNALS,
    ) -> None:
        """Kill or interrupt a process at a random instant, unless it ends before; wait for it."""
        if deadly is not None:
            child.wait(STUCK_SECONDS)
            if child.status == -signal.SIGKILL:
                self._count(signal.SIGKILL, "amid a write")
        elif not child.wait(self.random.uniform(0, longest)):
            number, place = self.random.choice(signals), child.place()
            started = time.monotonic()
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(child.pid, number)
            child.wait(STUCK_SECONDS)
            if child.status != 0:
                self._count(number, place)
            if number != signal.SIGKILL:
                self._check_leave(folder, child, number, place, time.monotonic() - started)
        for changed in folder.find_changed_records() + folder.records()[1]:
            self._fault(folder, changed)

    def _check_leave(
        self, folder: Folder, child: Child, number: int, place: str, seconds: float
    ) -> None:
        if child.status not in (0, 128 + number) and place != "starting":
            self._fault(folder, f"{child.log.name} left with {child.status}, {place}")
        if seconds > LEAVE_SECONDS:
            self._fault(folder, f"{child.log.name} took {seconds:.1f} s to leave, {place}")
        slowest = max(self.counts.slowest_leave_seconds, seconds)
        self.counts.slowest_leave_seconds = slowest

    def _count(self, number: int, place: str) -> None:
        self.counts.kills[signal.Signals(number).name] += 1
        self.counts.places[place] += 1

    def _compare(self, folder: Folder, num_kills: int) -> None:
        """The round's records and models beside those of the undisturbed sweep."""
        records, wrong = folder.records()
        for problem in wrong:
            self._fault(folder, problem)
        for run_id in self.run_ids | records.keys():
            if records.get(run_id) != self.records.get(run_id):
                self._fault(folder, f"another record: {run_id}")
        if folder.models() != self.models:
            self._fault(folder, "other model files")
        twice = [run_id for run_id, count in folder.recordings().items() if count > 1]
        if twice:
            self._fault(folder, f"recorded twice: {', '.join(twice)}")
        epochs = folder.epochs()
        num_redone = epochs.total() - len(epochs)
        if num_redone > num_kills:
            self._fault(folder, f"{num_redone} epochs done again after {num_kills} kills")
        self.counts.num_redone += num_redone
        self.counts.num_recorded += len(records)

    def _begin(self, kind: str) -> Folder:
        self.counts.rounds[kind] += 1
        return Folder(self.folder / f"round-{self.counts.rounds.total()}", self.data)

    def _fault(self, folder: Folder, text: str) -> None:
        self.counts.mismatches.append(f"{folder.path.name}: {text}")
        print(self.counts.mismatches[-1], flush=True)

    def _end(self, folder: Folder) -> None:
        if not any(text.startswith(f"{folder.path.name}:") for text in self.counts.mismatches):
            shutil.rmtree(folder.path)


def soak(minutes: float = 10, seed: int = 0, writers: int = 8, folder: str | None = None) -> int:
    """Rounds for so long; returns the exit status."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also for what is started here
    path = Path(folder or tempfile.mkdtemp(prefix="rps_bench-soak-")).absolute()
    path.mkdir(parents=True, exist_ok=True)
    rounds = Soak(path, seed, writers)
    print(f"{len(rounds.run_ids)} runs, undisturbed in {rounds.seconds:.1f} s; {path}", flush=True)
    deadline = time.monotonic() + 60 * minutes
    kinds = (rounds.kill_one, rounds.kill_some_of_many, rounds.kill_one, rounds.kill_one)
    while time.monotonic() < deadline:
        kinds[rounds.counts.rounds.total() % len(kinds)]()
        counts = rounds.counts
        print(f"{counts.kills.total()} kills, {len(counts.mismatches)} mismatches", flush=True)
    rounds.counts.show()
    if not rounds.counts.mismatches and folder is None:
        shutil.rmtree(path)
    return int(bool(rounds.counts.mismatches))


if __name__ == "__main__":
    options: dict[str, Any] = dict(word.split("=", 1) for word in sys.argv[1:])
    kinds = {"minutes": float, "seed": int, "writers": int, "folder": str}
    sys.exit(soak(**{key: kinds[key](value) for key, value in options.items()}))

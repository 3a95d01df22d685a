"""Rounds of a soak: a small sweep in a fresh folder, disturbed until it is done."""

import os
import random
import shutil
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rps_bench.reports.__main__ import main as report
from scripts.soak.counts import Counts
from scripts.soak.folder import Folder
from scripts.soak.images import write_images
from scripts.soak.kills import Killer
from scripts.soak.reference import Reference

SWEEP = (
    *("-m", "dataset=digits,cifar10", "method=stable_rps,mag,ltr", "compression=1.5"),
    *("storage=exact,int8", "keep_model=true", "exclude=[{dataset: cifar10, method: [mag, ltr]}]"),
    *("recipe=smoke", "recipe.max_steps_per_epoch=8", "recipe.batch_size=16", "arch.width=2"),
    *("device=cpu", "precision=fp32", "threads=1", "checkpoint_seconds=0.1"),
)
TABLE = ("results", "--only", "table")


class Rounds:
    """The rounds and their counts.

    Args:
        folder: Parent of the rounds' folders; those that differed are kept.
        seed: Seed of times and signals.
        num_writers: Number of simultaneous processes in rounds with several.
        sweep: Words of the command.
    """

    def __init__(
        self, folder: Path, seed: int, num_writers: int = 8, sweep: Sequence[str] = SWEEP
    ) -> None:
        self.folder, self.num_writers, self.sweep = folder, num_writers, sweep
        self.random, self.counts = random.Random(seed), Counts()
        self.killer = Killer(self.random, self.counts)
        self.data = folder / "data"
        write_images(self.data)
        self.reference = Reference(Folder(folder / "undisturbed", self.data), sweep)

    def kill_one(self, fresh_share: float = 0.15, table: bool = True) -> None:
        """Run a round with one process at a time, killed and restarted until the sweep is done."""
        folder, num_before = self._begin("one process"), self.counts.kills.total()
        while True:
            is_fresh = self.random.random() < fresh_share
            deadly = None
            if not is_fresh and self.random.random() < 0.3:
                deadly = self.random.randint(1, 30)
            child = folder.start(self.sweep, is_fresh=is_fresh, deadly=deadly)
            self.killer.disturb(folder, child, self.reference.seconds / 3 + 5 * is_fresh)
            if child.status == 0 and folder.find_changed_records() == []:
                break
        self._compare(folder, self.counts.kills.total() - num_before)
        if table:
            self._kill_table(folder)
        self._end(folder)

    def kill_some_of_many(self) -> None:
        """Run a round with several processes at once, half of which are killed."""
        folder, num_before = self._begin("many writers"), self.counts.kills.total()
        children = [folder.start(self.sweep) for _ in range(self.num_writers)]
        for child in children[: self.num_writers // 2]:
            self.killer.disturb(folder, child, self.reference.seconds)
        for child in children:
            if not child.wait():
                self._fault(folder, f"process {child.log.name} is stuck")
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                child.wait()
        for child in children[self.num_writers // 2 :]:
            if child.status != 0:
                self._fault(folder, f"{child.log.name} ended with {child.status}")
        again = folder.start(self.sweep)
        again.wait()
        if again.epochs():
            self._fault(folder, "something was left to do")
        self._compare(folder, self.counts.kills.total() - num_before)
        self._end(folder)

    def _kill_table(self, folder: Folder) -> None:
        """Build the table of a finished sweep, and kill the process during that."""
        table = folder.path / "results" / "table.csv"
        started = time.monotonic()
        folder.start(TABLE, report).wait()
        seconds, whole = time.monotonic() - started, table.read_bytes()
        for deadly in (None, self.random.randint(1, 8)):
            table.unlink()
            child = folder.start(TABLE, report, deadly=deadly)
            self.killer.disturb(folder, child, seconds, (signal.SIGKILL,))
            if table.is_file() and table.read_bytes() != whole:
                self._fault(folder, "the table is torn")
            folder.start(TABLE, report).wait()
            if table.read_bytes() != whole:
                self._fault(folder, "the table is another one")

    def _begin(self, kind: str) -> Folder:
        self.counts.rounds[kind] += 1
        return Folder(self.folder / f"round-{self.counts.rounds.total()}", self.data)

    def _compare(self, folder: Folder, num_kills: int) -> None:
        """Compare the round's records and models with those of the undisturbed sweep."""
        for difference in self.reference.find_differences(folder, num_kills):
            self._fault(folder, difference)
        self.counts.num_redone += folder.num_redone()
        self.counts.num_recorded += len(folder.records()[0])

    def _fault(self, folder: Folder, text: str) -> None:
        self.counts.add_mismatch(folder.path, text)

    def _end(self, folder: Folder) -> None:
        if not self.counts.has_mismatch_in(folder.path):
            shutil.rmtree(folder.path)

"""How far a sweep is, looked at again and again: only records that have changed are read.

Whoever is at the runs, in this process, in others or on other machines: all is told from records
and locks in the results folder.
"""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rps_bench.config import RunConfig
from rps_bench.core.storages import EXACT
from rps_bench.records.done import find_done
from rps_bench.records.schema import FINISHED, Record
from rps_bench.records.store import record_path
from rps_bench.runtime.locks import find_begun_runs
from rps_bench.sweep.status import FAILED_BEFORE, IN_PROGRESS, find_state

Place = tuple[str, str, str, str]  # of a run's record
Stamp = tuple[int, int, int]  # another one where a file was written anew

FAILED = "failed"  # since the first look
KEPT_BLOCKS = ("status", "config", "cost")  # of a record; curves of a thousand runs stay on disk


@dataclass(frozen=True)
class Counts:
    """The runs of a sweep, each counted once."""

    recorded: int
    running: int
    failed: int
    left: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.recorded + self.running + self.failed + self.left

    def __str__(self) -> str:
        parts = [f"{self.recorded} of {self.total} recorded"]
        for name in ("running", "failed", "left"):
            if number := getattr(self, name):
                parts.append(f"{number} {name}")
        return ", ".join(parts)


class Standing:
    """The states of a sweep's runs, as of the last `look`.

    Attributes:
        configs: The runs by the places of their records, in their order.
        states: As `find_state` names them, and `FAILED`; empty before the first look.
        done: What estimates need of each finished run's record.

    Args:
        configs: The runs.
    """

    def __init__(self, configs: Sequence[RunConfig]) -> None:
        self.configs: dict[Place, RunConfig] = {c.record_place: c for c in configs}
        self.states: dict[Place, str] = {}
        self.done: dict[Place, Record] = {}
        self._stamps: dict[Place, Stamp | None] = {}
        self._unlocked: dict[Place, str] = {}  # states as they are where no process is at a run
        self._runs_of_locks = _find_runs_of_locks(self.configs)

    def look(self) -> None:
        """Find the states of now.

        Raises:
            UserError, OSError: A record or a lock cannot be read.
        """
        locks = self._find_locks()
        is_first = not self.states
        for place, config in self.configs.items():
            if place not in self.done:
                self._read_anew(place, config, is_first)
            self.states[place] = self._tell(place, locks)

    @property
    def running(self) -> list[Place]:
        """The runs that a process is at."""
        return [place for place, state in self.states.items() if state == IN_PROGRESS]

    @property
    def undone(self) -> list[Place]:
        """The runs that are not recorded as finished, those in progress first."""
        undone = [place for place in self.configs if place not in self.done]
        return sorted(undone, key=lambda place: self.states.get(place) != IN_PROGRESS)

    def count(self, tried: Collection[Place] | None = None) -> Counts:
        """Count the runs.

        Args:
            tried: Those that a command has given up or done, which therefore count as failed
                where they are not recorded. It tries again what has failed before, which counts
                as left. None: nobody is known to try anything again.
        """
        groups = Counter(self._group(place, tried) for place in self.configs)
        return Counts(*(groups[name] for name in ("recorded", "running", "failed", "left")))

    def find_lock_ids(self, place: Place) -> tuple[str, ...]:
        """The run ids of the locks, one of which is held while a process is at a run."""
        trained = self.configs[place].with_exact_storage.record_place
        return tuple(dict.fromkeys((place[3], trained[3])))

    def _group(self, place: Place, tried: Collection[Place] | None) -> str:
        state = self.states.get(place)
        if state in FINISHED:
            return "recorded"
        if state == IN_PROGRESS:
            return "running"
        is_failed = state == FAILED or (state == FAILED_BEFORE if tried is None else place in tried)
        return "failed" if is_failed else "left"

    def _find_locks(self) -> dict[Place, bool]:
        """The runs that were begun and have not ended, and whether a process is at each."""
        folders = dict.fromkeys(place[0] for place in self.configs if place not in self.done)
        found: dict[Place, bool] = {}
        for folder in folders:
            for run_id, is_held in find_begun_runs(folder).items():
                place = self._runs_of_locks.get((folder, run_id))
                if place is not None:
                    found[place] = found.get(place, False) or is_held
        return found

    def _read_anew(self, place: Place, config: RunConfig, is_first: bool) -> None:
        """Read a record that was written since the last look, if there is one."""
        stamp = _find_stamp(place)  # before the reading: what is written amid it is read next time
        if place in self._stamps and stamp == self._stamps[place]:
            return
        record = find_done(config)
        if record is not None:
            self.done[place] = {block: record[block] for block in KEPT_BLOCKS}
            return
        state = find_state(config, {})
        self._unlocked[place] = FAILED if state == FAILED_BEFORE and not is_first else state
        self._stamps[place] = stamp

    def _tell(self, place: Place, locks: Mapping[Place, bool]) -> str:
        if place in self.done:
            return str(self.done[place]["status"])
        if locks.get(place):
            return IN_PROGRESS
        state = self._unlocked[place]
        return "begun" if place in locks and state not in (FAILED, FAILED_BEFORE) else state


def _find_runs_of_locks(configs: Mapping[Place, RunConfig]) -> dict[tuple[str, str], Place]:
    """Results folder and run id of a lock -> the run that is under way while it is held.

    Where a run rounds another's model, the other may have to be trained first.
    """
    found = {(place[0], place[3]): place for place in configs}
    for place, config in configs.items():
        if config.storage != EXACT:
            trained = config.with_exact_storage.record_place
            found.setdefault((trained[0], trained[3]), place)
    return found


def _find_stamp(place: Place) -> Stamp | None:
    """What tells whether a record was written anew; None where there is none."""
    try:
        facts = os.stat(record_path(*place))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size

"""Kills and interrupts at random times, and checks on how processes leave."""

import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

from scripts.soak.child import Child
from scripts.soak.counts import Counts
from scripts.soak.folder import Folder

LEAVE_SECONDS = 5.0  # allowed after a first SIGTERM or SIGINT
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


class Killer:
    """A killer of processes, which counts its kills.

    Args:
        chance: Random source of times and signals.
        counts: Kills and mismatches are added to these.
    """

    def __init__(self, chance: random.Random, counts: Counts) -> None:
        self.chance, self.counts = chance, counts

    def disturb(
        self, folder: Folder, child: Child, longest: float, signals: Sequence[int] = SIGNALS
    ) -> None:
        """Kill or interrupt a process at a random time, unless it ends earlier; wait for its end.

        Args:
            folder: The folder it works in.
            child: The process; one that kills itself is left to do so.
            longest: Upper limit of the random time in seconds.
            signals: Signals to choose from.
        """
        if child.is_deadly:
            child.wait()
            if child.status == -signal.SIGKILL:
                self.counts.add_kill(signal.SIGKILL, "during a write")
        elif not child.wait(self.chance.uniform(0, longest)):
            self._send(folder, child, self.chance.choice(signals))
        for changed in folder.find_changed_records() + folder.records()[1]:
            self.counts.add_mismatch(folder.path, changed)

    def _send(self, folder: Folder, child: Child, number: int) -> None:
        place, started = child.place(), time.monotonic()
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(child.pid, number)
        child.wait()
        if child.status != 0:
            self.counts.add_kill(number, place)
        if number != signal.SIGKILL:
            self._check_leave(folder, child, number, place, time.monotonic() - started)

    def _check_leave(
        self, folder: Folder, child: Child, number: int, place: str, seconds: float
    ) -> None:
        name, counts = child.log.name, self.counts
        if child.status not in (0, 128 + number) and place != "starting":
            counts.add_mismatch(folder.path, f"{name} left with {child.status}, {place}")
        if seconds > LEAVE_SECONDS:
            counts.add_mismatch(folder.path, f"{name} took {seconds:.1f} s to leave, {place}")
        counts.slowest_leave_seconds = max(counts.slowest_leave_seconds, seconds)

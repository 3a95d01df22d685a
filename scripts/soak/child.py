"""A process at the sweep, or at its table, as the soak sees it: its end, its place, its words."""

import os
import re
import signal
import time
from pathlib import Path

STUCK_SECONDS = 600.0
# The first of these that is on the stack tells what a process was at. The stack of a fork begins
# with the soak's own functions: none of them may have such a name.
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


def stack_path(log: Path) -> Path:
    """The file in which a process writes its stack at each SIGUSR1, beside that of its output."""
    return log.with_suffix(".stack")


class Child:
    """A process, with its output and its last stack in files.

    Args:
        pid: Its number.
        log: The file of its output.
        is_deadly: Whether it kills itself at one of its writes, if it comes so far.
    """

    def __init__(self, pid: int, log: Path, is_deadly: bool) -> None:
        self.pid, self.log, self.is_deadly = pid, log, is_deadly
        self.status: int | None = None  # the exit status, a signal as a negative number

    def has_ended(self) -> bool:
        """Look, without waiting."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def wait(self, seconds: float = STUCK_SECONDS) -> bool:
        """Wait for its end for so long; tell whether it came."""
        deadline = time.monotonic() + seconds
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.status is not None

    def place(self) -> str:
        """What it is at."""
        stack = stack_path(self.log)
        if not stack.is_file() or self.has_ended():
            return "starting"
        os.kill(self.pid, signal.SIGUSR1)
        self.wait(0.01)
        names = set(re.findall(r" in (\w+)$", stack.read_text(), re.MULTILINE))
        return next((place for name, place in PLACES.items() if name in names), "starting")

    def epochs(self) -> list[tuple[str, ...]]:
        """The epochs it has trained to their ends, as it said."""
        return EPOCH.findall(self._words())

    def recordings(self) -> list[str]:
        """The runs it has recorded, as it said."""
        return RECORDED.findall(self._words())

    def _words(self) -> str:
        return self.log.read_text(errors="replace")

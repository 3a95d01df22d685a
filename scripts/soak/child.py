"""A process that works on the sweep or its table: its end, its current place, its output."""

import os
import re
import signal
import time
from pathlib import Path

STUCK_SECONDS = 600.0
# The first of these functions on the stack tells what a process was doing. The stack of a fork
# begins with the soak's own functions, none of which may have such a name.
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
    "run_all": "planning",
    "save_table": "building the table",
}
EPOCH = re.compile(r"^(\S+)  (?:(level \d+)\S* \S+ \S+  )?epoch (\d+)/", re.MULTILINE)
RECORDED = re.compile(r"^completed: (\S+)", re.MULTILINE)


def stack_path(log: Path) -> Path:
    """The file to which a process writes its stack at each SIGUSR1, next to that of its output."""
    return log.with_suffix(".stack")


class Child:
    """A process whose output and last stack are in files.

    Args:
        pid: Id of the process.
        log: File of its output.
        is_deadly: Whether it kills itself at one of its writes, if it gets there.
    """

    def __init__(self, pid: int, log: Path, is_deadly: bool) -> None:
        self.pid, self.log, self.is_deadly = pid, log, is_deadly
        self.status: int | None = None  # the exit status, a signal as a negative number

    def has_ended(self) -> bool:
        """Whether the process has ended; does not wait."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def wait(self, seconds: float = STUCK_SECONDS) -> bool:
        """Wait at most `seconds` for the process to end; return whether it did."""
        deadline = time.monotonic() + seconds
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.status is not None

    def place(self) -> str:
        """What the process is doing, in words."""
        stack = stack_path(self.log)
        if not stack.is_file() or self.has_ended():
            return "starting"
        os.kill(self.pid, signal.SIGUSR1)
        self.wait(0.01)
        names = set(re.findall(r" in (\w+)$", stack.read_text(), re.MULTILINE))
        return next((place for name, place in PLACES.items() if name in names), "starting")

    def epochs(self) -> list[tuple[str, ...]]:
        """The epochs that the process has finished, according to its output."""
        return EPOCH.findall(self._words())

    def recordings(self) -> list[str]:
        """The runs that the process has recorded, according to its output."""
        return RECORDED.findall(self._words())

    def _words(self) -> str:
        return self.log.read_text(errors="replace")

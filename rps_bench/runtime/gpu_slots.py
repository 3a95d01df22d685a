"""GPU slots: which GPU a run gets when several processes of one machine divide them.

A slot is a lock of the operating system, so a killed process gives it back.
"""

import getpass
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from rps_bench.core.errors import UserError, explain
from rps_bench.runtime.locks import make_lock, try_take

POLL_SECONDS = 1.0


@contextmanager
def gpu_slot(gpus: Sequence[int], runs_per_gpu: int, folder: Path | None = None) -> Iterator[str]:
    """Hold a slot and give its device, ``cuda:N``; waits until one is free.

    Empty GPUs are filled before any gets a second run.

    Args:
        gpus: Indices of the GPUs.
        runs_per_gpu: Slots on each.
        folder: Where the locks lie, the same for all processes of the machine; None: a temporary
            one.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"rps_bench-{_user()}"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"GPU slots need the folder {folder} ({error.strerror})") from error
    # All first slots come before all second ones, so that empty GPUs are filled first.
    locks = {
        make_lock(folder / f"cuda-{gpu}-slot-{slot}.lock"): f"cuda:{gpu}"
        for slot in range(runs_per_gpu)
        for gpu in gpus
    }
    try:
        lock = _take_any(list(locks))
    except OSError as error:
        raise UserError(f"GPU slots need the folder {folder} ({explain(error)})") from error
    try:
        yield locks[lock]
    finally:
        lock.release()


def _user() -> str:
    """The user's name, or the user's number if there is no name, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _take_any(locks: list[FileLock]) -> FileLock:
    while True:
        for lock in locks:
            if try_take(lock):
                return lock
        time.sleep(POLL_SECONDS)

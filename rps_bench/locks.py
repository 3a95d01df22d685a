"""Who is at which run: locks of the operating system, which a killed process lets go of.

A run holds `results_dir/checkpoints/<name>/run-<run_id>.lock` from before its first step until its
record is written. Imports no torch, so that a plan can look at once.
"""

from pathlib import Path

from filelock import FileLock, Timeout

CHECKPOINTS_FOLDER = "checkpoints"
PREFIX, SUFFIX = "run-", ".lock"


class InUseError(Exception):
    """Another run is at it, most often in another process; its work will be there later."""


def run_lock(folder: Path, run_id: str) -> FileLock:
    """The lock of one run, not taken yet."""
    return FileLock(folder / f"{PREFIX}{run_id}{SUFFIX}")


def gate(root: Path) -> FileLock:
    """Held for moments only, while run locks below ``root`` are taken, looked at or deleted."""
    return FileLock(root / ".lock")


def try_take(lock: FileLock) -> bool:
    """Take a lock at once; False where another process holds it."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def take(lock: FileLock, what: str) -> None:
    """Take a lock at once.

    Raises:
        InUseError: Another process holds it.
    """
    if not try_take(lock):
        raise InUseError(f"another process trains {what}")


def is_held(lock: FileLock) -> bool:
    """Whether some process holds the lock."""
    if not try_take(lock):
        return True
    lock.release()
    return False


def find_runs_in_use(folder: Path) -> list[Path]:
    """The run locks in a checkpoint folder that processes hold; none where there is no folder."""
    return [path for path in folder.glob(f"{PREFIX}*{SUFFIX}") if is_held(FileLock(path))]


def find_begun_runs(results_dir: str | Path) -> dict[str, bool]:
    """Run ids that were begun and have not ended, and whether a process is at them now."""
    root = Path(results_dir) / CHECKPOINTS_FOLDER
    paths = list(root.glob(f"*/{PREFIX}*{SUFFIX}"))
    if not paths:
        return {}
    with gate(root):  # a lock that is deleted meanwhile would be made again by looking at it
        return {
            path.name.removeprefix(PREFIX).removesuffix(SUFFIX): is_held(FileLock(path))
            for path in paths
            if path.is_file()
        }

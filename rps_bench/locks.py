"""Who is at which run: locks of the operating system, which a killed process lets go of.

A run holds `results_dir/checkpoints/<name>/run-<run_id>.lock` from before its first step until its
record is written. Whoever may write in a lock's folder may take the lock. Imports no torch, so that
a plan can look at once.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rps_bench.permissions import GROUP, share_group, shared_rights

CHECKPOINTS_FOLDER = "checkpoints"
PREFIX, SUFFIX = "run-", ".lock"
READ_ALL = stat.S_IRGRP | stat.S_IROTH
POLL_SECONDS = 0.05
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # what NFS, Lustre and others may say


class InUseError(Exception):
    """Another run is at it, most often in another process; its work will be there later."""


def make_lock(path: Path) -> FileLock:
    """A lock that those may take who may write in its folder; not taken yet."""
    rights = shared_rights(path.parent) if path.parent.is_dir() else 0
    if rights == 0:
        return FileLock(path)
    read_only = path.parent.stat().st_mode & READ_ALL  # a lock holds nothing that is secret
    return FileLock(path, mode=0o600 | rights | read_only)


def run_lock(folder: Path, run_id: str) -> FileLock:
    """The lock of one run, not taken yet."""
    return make_lock(folder / f"{PREFIX}{run_id}{SUFFIX}")


def gate(root: Path) -> FileLock:
    """Held for moments only, while run locks below ``root`` are taken, looked at or deleted."""
    return make_lock(root / ".lock")


@contextmanager
def hold(lock: FileLock) -> Iterator[None]:
    """Wait until a lock is free, and hold it.

    Raises:
        OSError: As of `try_take`.
    """
    while not try_take(lock):
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


def try_take(lock: FileLock) -> bool:
    """Take a lock at once; False where another process holds it.

    Raises:
        OSError: It names the file. The folder is gone or not this user's to write in, or the disk
            has no locks.
    """
    path = Path(lock.lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except PermissionError as error:
        if _delete_unless_held(path, error):
            return try_take(lock)
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            reason = f"{error.strerror}; a folder on a disk with locks (flock) is needed"
            raise OSError(error.errno, reason, str(path)) from error
        raise
    with suppress(OSError):  # the folder has gone meanwhile
        if shared_rights(path.parent) & GROUP:
            share_group(path)
    return True


def take(lock: FileLock, what: str) -> None:
    """Take a lock at once.

    Raises:
        InUseError: Another process holds it.
    """
    if not try_take(lock):
        raise InUseError(f"another process trains {what}")


def is_held(lock: FileLock) -> bool:
    """Whether some process holds the lock, also for those who may not take it."""
    try:
        if not try_take(lock):
            return True
    except PermissionError:
        with _flock_of_a_reader(Path(lock.lock_file)) as is_free:
            return not is_free
    lock.release()
    return False


def find_runs_in_use(folder: Path) -> list[Path]:
    """The run locks in a checkpoint folder that processes hold; none where there is no folder."""
    return [path for path in folder.glob(f"{PREFIX}*{SUFFIX}") if is_held(make_lock(path))]


def find_begun_runs(results_dir: str | Path) -> dict[str, bool]:
    """Run ids that were begun and have not ended, and whether a process is at them now."""
    root = Path(results_dir) / CHECKPOINTS_FOLDER
    paths = list(root.glob(f"*/{PREFIX}*{SUFFIX}"))
    if not paths:
        return {}
    # A lock that is deleted meanwhile would be made again by looking at it, where one may make it.
    with hold(gate(root)) if os.access(root, os.W_OK) else nullcontext():
        return {
            path.name.removeprefix(PREFIX).removesuffix(SUFFIX): is_held(make_lock(path))
            for path in paths
            if path.is_file()
        }


def _delete_unless_held(path: Path, denied: PermissionError) -> bool:
    """Delete a lock's file that another user made for oneself alone, so that it is made anew.

    The right to do so comes with the folder. A process that has opened the deleted file takes no
    lock by it: it opens the new one.

    Returns:
        Whether it is deleted; if not, a process holds it.

    Raises:
        PermissionError: ``denied``, where this user may not do so.
    """
    try:
        with _flock_of_a_reader(path) as is_free:
            if is_free:
                path.unlink()
            return is_free
    except FileNotFoundError:  # another process has done it, unless nothing may be made here
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise denied from None
        return True
    except OSError:
        raise denied from None


@contextmanager
def _flock_of_a_reader(path: Path) -> Iterator[bool]:
    """Take a lock of which the file can be read but not written; gives whether it was free.

    Raises:
        FileNotFoundError: There is no such file, or another has taken its place.
        OSError: The file cannot be read, or the system asks for the right to write (NFS does).
    """
    if os.name != "posix":
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    import fcntl

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            if not os.path.samestat(os.fstat(descriptor), path.stat()):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            yield True
    finally:
        os.close(descriptor)

"""Which runs a process is working on: file locks, which the system releases if a process dies.

A run holds `results_dir/checkpoints/<name>/run-<run_id>.lock` from before its first step until its
record is written. All users who may write in a lock's folder may take the lock. Imports no torch,
so that a plan can look at locks at once.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rps_bench.core.permissions import GROUP, share_group, shared_rights

CHECKPOINTS_FOLDER = "checkpoints"
PREFIX, SUFFIX = "run-", ".lock"
READ_ALL = stat.S_IRGRP | stat.S_IROTH
POLL_SECONDS = 0.05
SYSTEM_LOCKS = Path("/proc/locks")
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # NFS, Lustre and others may raise these


class InUseError(Exception):
    """The work is already being done, mostly by another process; its result will be there later."""


def make_lock(path: Path) -> FileLock:
    """A lock, not taken yet, that all who may write in its folder may take."""
    rights = shared_rights(path.parent) if path.parent.is_dir() else 0
    if rights == 0:
        return FileLock(path)
    read_only = path.parent.stat().st_mode & READ_ALL  # a lock file holds nothing secret
    return FileLock(path, mode=0o600 | rights | read_only)


def run_lock(folder: Path, run_id: str) -> FileLock:
    """The lock of one run, not taken yet."""
    return make_lock(folder / f"{PREFIX}{run_id}{SUFFIX}")


def gate(root: Path) -> FileLock:
    """The lock held for moments while run locks below ``root`` are taken, looked at or deleted."""
    return make_lock(root / ".lock")


@contextmanager
def hold(lock: FileLock) -> Iterator[None]:
    """Wait until a lock is free, and hold it.

    Raises:
        OSError: As in `try_take`.
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
        OSError: The folder is gone, this user may not write in it, or the disk has no locks. The
            error names the file.
    """
    path = Path(lock.lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except PermissionError as error:
        # Only the file's owner may open it, perhaps as it is older than the rights of the folder.
        # Those suffice to replace it.
        if _delete_unless_held(path, error):
            return try_take(lock)
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            reason = f"{error.strerror}; a folder on a disk with locks (flock) is needed"
            raise OSError(error.errno, reason, str(path)) from error
        raise
    with suppress(OSError):  # the folder is gone by now
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
    """Whether some process holds the lock; also answers users who may not take it."""
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
    """The ids of runs that were begun and have not ended, and whether a process works on each."""
    root = Path(results_dir) / CHECKPOINTS_FOLDER
    paths = list(root.glob(f"*/{PREFIX}*{SUFFIX}"))
    if not paths:
        return {}
    # Looking at a lock creates its file. The gate keeps a lock that its owner deletes at this
    # moment from being created anew; who may not write here could not create it anyway.
    with hold(gate(root)) if os.access(root, os.W_OK) else nullcontext():
        return {
            path.name.removeprefix(PREFIX).removesuffix(SUFFIX): is_held(make_lock(path))
            for path in paths
            if path.is_file()
        }


def find_processes(results_dir: str | Path) -> dict[str, int]:
    """The ids of runs and of the processes of this machine that hold their locks, where it tells.

    Linux does, for processes that this one may see; a lock that another machine holds has none.
    """
    try:
        lines = SYSTEM_LOCKS.read_text().splitlines()
    except OSError:
        return {}
    holders: dict[tuple[int, int, int], int] = {}
    for line in lines:  # such as 1: FLOCK  ADVISORY  WRITE 20902 fe:00:2319052 0 EOF
        found = re.search(r"^\d+: FLOCK .* (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) \d+ \S+$", line)
        if found is not None and int(found[1]) > 0:
            holders[int(found[2], 16), int(found[3], 16), int(found[4])] = int(found[1])
    processes: dict[str, int] = {}
    for path in (Path(results_dir) / CHECKPOINTS_FOLDER).glob(f"*/{PREFIX}*{SUFFIX}"):
        with suppress(OSError):
            facts = path.stat()
            file = os.major(facts.st_dev), os.minor(facts.st_dev), facts.st_ino
            if file in holders:
                processes[path.name.removeprefix(PREFIX).removesuffix(SUFFIX)] = holders[file]
    return processes


def _delete_unless_held(path: Path, denied: PermissionError) -> bool:
    """Delete a lock file that only another user may open, so that it is made anew for all.

    The rights on the folder allow that. A process that still has the deleted file open takes no
    lock with it: it opens the new one.

    Returns:
        Whether it was deleted; if not, a process holds the lock.

    Raises:
        PermissionError: ``denied``, if this user may not delete it.
    """
    try:
        with _flock_of_a_reader(path) as is_free:
            if is_free:
                path.unlink()
            return is_free
    except FileNotFoundError:  # another process deleted it, unless nothing may be made here
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise denied from None
        return True
    except OSError:
        raise denied from None


@contextmanager
def _flock_of_a_reader(path: Path) -> Iterator[bool]:
    """Try to take a lock whose file this user may only read; gives whether it was free.

    Raises:
        FileNotFoundError: There is no such file, or another one has replaced it.
        OSError: The file cannot be read, or locking needs the right to write (on NFS).
    """
    if os.name != "posix":
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    import fcntl

    # O_NONBLOCK and O_NOFOLLOW: someone else's file may be a pipe or a link.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            # A lock on a file that was deleted after it was opened would exclude nobody.
            if not os.path.samestat(os.fstat(descriptor), path.stat()):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            yield True
    finally:
        os.close(descriptor)

"""Atomic file writes: a reader sees the old file or the new one, never half of one."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from rps_bench.core.permissions import follow_folder, make_folder

TEMPORARY_SUFFIX = ".tmp"


def write_bytes(path: Path, data: bytes) -> Path:
    """Write `data` to `path` through a synced temporary file in the same folder; return `path`.

    The temporary name starts with a dot and ends in `.tmp`, so no reader takes it for a result.
    On any failure it is removed and an older `path` stays as it was. Users who may write in the
    folder may read and write the file.

    Raises:
        OSError: It names `path`, never the temporary file.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        make_folder(path.parent)
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        follow_folder(temporary)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):  # a disk that has become read-only
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    return path


def write_text(path: Path, text: str) -> Path:
    """Write `text` as UTF-8, atomically; return `path`."""
    return write_bytes(path, text.encode())


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Only POSIX systems can open a folder for this."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

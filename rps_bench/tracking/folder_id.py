"""A results folder's own short id: part of the ids of its runs on W&B.

Two people who run the same settings into one project get two runs, and so does one who deleted
the results to start again. The same folder gets the same id on every machine that shares it.
"""

import re
import secrets
import time
from pathlib import Path

from rps_bench.permissions import follow_folder, make_folder

FILE_NAME = "folder_id"
_FORM = re.compile(r"[0-9a-f]{8}")
_PATIENCE_SECONDS = 2.0


def folder_id(folder: Path) -> str:
    """The id in the folder; the first caller makes it, several at once agree on one.

    Args:
        folder: Is made if missing.

    Raises:
        OSError: The folder cannot be written, or holds a broken id.
    """
    make_folder(folder)
    path = folder / FILE_NAME
    try:
        file = open(path, "x")  # noqa: SIM115 (exclusive: who opens it is the one who writes)
    except FileExistsError:
        return _read(path)
    identity = secrets.token_hex(4)
    try:
        with file:
            file.write(identity)
        follow_folder(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return identity


def _read(path: Path) -> str:
    """The id, once whoever made the file has written it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _FORM.fullmatch(text := path.read_text().strip()):
        if time.monotonic() > deadline:
            raise OSError(f"{path} holds no id; delete it")
        time.sleep(0.02)
    return text

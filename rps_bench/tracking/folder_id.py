"""A results folder's own short id: part of the ids of its runs on W&B.

Two people who run the same settings into one project get two runs, and so does one who deleted
the results to start again. The same folder gets the same id on every machine that shares it.
"""

import os
import re
import secrets
from pathlib import Path

from rps_bench.atomic import write_text

FILE_NAME = "folder_id"
_FORM = re.compile(r"[0-9a-f]{8}")


def folder_id(folder: Path) -> str:
    """The id in the folder; the first caller makes it, several at once agree on one.

    Args:
        folder: Is made if missing.

    Raises:
        OSError: The folder cannot be written, or holds a broken id.
    """
    path = folder / FILE_NAME
    if not path.exists():
        _offer(path)
    identity = path.read_text().strip()
    if not _FORM.fullmatch(identity):
        raise OSError(f"{path} holds no id; delete it")
    return identity


def _offer(path: Path) -> None:
    """Write a new id under a name of its own, and link it into its place unless one is there.

    So nobody ever waits for an id that is half written.
    """
    offered = write_text(
        path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}"), secrets.token_hex(4)
    )
    try:
        os.link(offered, path)
    except FileExistsError:
        pass
    except OSError:  # a disk without links; two first runs of one moment may get an id each there
        os.replace(offered, path)
    finally:
        offered.unlink(missing_ok=True)

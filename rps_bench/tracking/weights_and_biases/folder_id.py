"""A short id of each results folder, which is part of the ids of its runs on W&B.

With it, two people who run the same settings in one project get two runs, and so does someone who
deletes the results and starts again. A shared folder has the same id on every machine.
"""

import os
import re
import secrets
from pathlib import Path

from rps_bench.core.atomic import write_text

FILE_NAME = "folder_id"
_FORM = re.compile(r"[0-9a-f]{8}")


def folder_id(folder: Path) -> str:
    """The id of the folder; the first caller creates it, simultaneous callers agree on one.

    Args:
        folder: Created if missing.

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
    """Write a new id to a temporary file and link it to `path`, unless an id is there already.

    So no reader ever sees half an id.
    """
    offered = write_text(
        path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}"), secrets.token_hex(4)
    )
    try:
        os.link(offered, path)
    except FileExistsError:
        pass
    except OSError:  # a disk without links: two simultaneous first runs may get different ids
        os.replace(offered, path)
    finally:
        offered.unlink(missing_ok=True)

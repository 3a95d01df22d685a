"""The last epoch that an offline run has written, so that no epoch is sent to W&B twice.

Online, the server refuses a row that it already has. Offline, every command that resumes a run
writes a separate part, and `wandb sync` sends the rows of all parts, including repeated epochs.
"""

import re
from pathlib import Path

FILE_NAME = "last_epoch"
_PART = re.compile(r"offline-run-\d{8}_\d{6}-(?P<id>.+)")


class EpochsWritten:
    """The epochs in one part of a run, and in the parts before it.

    Attributes:
        last_before: The last epoch in the earlier parts of the same run; 0 if there is none.
    """

    def __init__(self, part: Path) -> None:
        """Look at the other parts in the same folder.

        Args:
            part: The folder of the part that is now written; missing if wandb writes nothing.
        """
        self._file = part / FILE_NAME
        identity = _identity(part)
        others = part.parent.glob("offline-run-*") if identity else ()
        parts = [other for other in others if other != part and _identity(other) == identity]
        self.last_before = max(map(_last_epoch, parts), default=0)

    def note(self, epoch: int) -> None:
        """Store that the row of this epoch is written."""
        if self._file.parent.is_dir():
            self._file.write_text(str(epoch))


def _identity(part: Path) -> str | None:
    """The run id in the name of an offline part, None for other folders."""
    name = _PART.fullmatch(part.name)
    return name and name["id"]


def _last_epoch(part: Path) -> int:
    try:
        return int((part / FILE_NAME).read_text())
    except (FileNotFoundError, ValueError):  # a part without an epoch, or a file cut off
        return 0

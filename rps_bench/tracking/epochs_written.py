"""How far the curve of an offline run goes: wandb sends the rows of all its parts, repeated or not.

Online the server refuses a row that it has. Offline every command of a resumed run writes a part
of its own, and an epoch that was done again would be sent twice.
"""

import re
from pathlib import Path

FILE_NAME = "last_epoch"
_PART = re.compile(r"offline-run-\d{8}_\d{6}-(?P<id>.+)")


class EpochsWritten:
    """The epochs of one part, and of the parts before it.

    Attributes:
        last_before: The last epoch that an earlier part of the same run holds; 0 if none does.
    """

    def __init__(self, part: Path) -> None:
        """Look at the parts beside this one.

        Args:
            part: The folder of the part that is now written; may be missing where wandb writes
                nothing.
        """
        self._file = part / FILE_NAME
        identity = _identity(part)
        others = part.parent.glob("offline-run-*") if identity else ()
        parts = [other for other in others if other != part and _identity(other) == identity]
        self.last_before = max(map(_last_epoch, parts), default=0)

    def note(self, epoch: int) -> None:
        """Write down that this epoch's row is written."""
        if self._file.parent.is_dir():
            self._file.write_text(str(epoch))


def _identity(part: Path) -> str | None:
    """The run's id in an offline part's name."""
    name = _PART.fullmatch(part.name)
    return name and name["id"]


def _last_epoch(part: Path) -> int:
    try:
        return int((part / FILE_NAME).read_text())
    except (FileNotFoundError, ValueError):  # a part without an epoch, or cut off
        return 0

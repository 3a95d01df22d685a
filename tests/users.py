"""Users of one group, played by root: A's files are given away, B is root without its powers.

B stays user 0, so that it can run the same Python, but has no capability and is a member of GROUP.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

A, GROUP = 12345, 54321  # of no account
_ARGUMENTS = (
    *("setpriv", f"--groups={GROUP}", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"),
    sys.executable,
)


@functools.cache
def can_play() -> bool:
    """Whether this process may take another user's part."""
    if os.name != "posix" or os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    return subprocess.run([*_ARGUMENTS, "-c", ""], capture_output=True, check=False).returncode == 0


def need_players() -> None:
    """Skip the test where nobody can be played."""
    if not can_play():
        pytest.skip("needs root and setpriv")


def give_to_a(folder: Path, group: int = GROUP) -> None:
    """Make a folder and all in it A's and the group's, with their modes as they are."""
    for path in (folder, *folder.rglob("*")):
        mode = path.lstat().st_mode
        os.chown(path, A, group, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(mode & 0o7777)  # chown clears setgid


def as_b(
    *arguments: str | Path, umask: int = 0o002, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """``python ARGUMENTS`` as B."""
    return subprocess.run(
        [*_ARGUMENTS, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        umask=umask,
        cwd=folder or Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

"""The folders that datasets are read from and decoded into."""

import os
import secrets
import shutil
import stat
from pathlib import Path

from rps_bench.core import checks
from rps_bench.core.cache_folder import user_cache_folder

DATA_VARIABLE = "RPS_BENCH_DATA"


def resolve_root(root: str | Path | None) -> Path:
    """The data root: the argument, else the variable RPS_BENCH_DATA, else the user's cache."""
    chosen = root or os.environ.get(DATA_VARIABLE)
    if not chosen:
        return user_cache_folder()
    return Path(checks.path(DATA_VARIABLE, str(chosen))).absolute()


def is_writable(folder: Path) -> bool:
    """Whether files may be created in an existing folder.

    The mode counts too: root may write anywhere, but a folder marked read-only is meant to be so.
    """
    marked_writable = bool(folder.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    return marked_writable and os.access(folder, os.W_OK | os.X_OK)


def decoded_folders(root: Path) -> tuple[Path, ...]:
    """The folders that may hold decoded images; new ones go to the first.

    They are kept below the root. A user who may not write there stores new ones in the user's
    cache, but still uses those that others have put below the root.
    """
    shared = root / "decoded"
    if is_writable(shared if shared.is_dir() else root):
        return (shared,)
    return (user_cache_folder() / "decoded", shared)


def clear_away(folder: Path) -> None:
    """Delete a folder if it exists; rename it if another user owns files that cannot be deleted.

    Raises:
        OSError: Neither is possible.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        folder.rename(folder.with_name(f".left-{secrets.token_hex(4)}"))

"""Where a user's own cache lies: images that were fetched, kernels that were compiled."""

import os
from pathlib import Path

from rps_bench.core import checks


def user_cache_folder() -> Path:
    """``rps_bench`` below XDG_CACHE_HOME, or below ``~/.cache`` if that is not set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(checks.path("XDG_CACHE_HOME", base or "~/.cache")) / "rps_bench"

"""The variables of a process that uses trackio: its files in one folder, nothing over a network.

trackio reads them when it is imported.
"""

import os
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path

from rps_bench.core.errors import UserError

# Whatever would send runs elsewhere, or take them from there: Spaces, servers, data sets, tokens.
_REMOTE = ("TRACKIO_", "HF_", "HUGGING_FACE_", "HUGGINGFACE_", "SPACE_", "GRADIO_")
_KEPT = (
    "TRACKIO_SQLITE_",  # how SQLite writes on this user's disk
    "TRACKIO_PLOT_ORDER", "TRACKIO_COLOR_PALETTE", "TRACKIO_THEME", "TRACKIO_TABLE_TRUNCATE_LENGTH",
)  # fmt: skip


def settle_environment(folder: Path, scratch: str, environment: MutableMapping[str, str]) -> None:
    """Give trackio its folder, and keep it from the network, the home folder and accounts.

    Args:
        folder: For trackio's files.
        scratch: A folder for caches, which exists as long as trackio is in use.
        environment: Changed in place.
    """
    for name in list(environment):
        if name == "SYSTEM" or (name.startswith(_REMOTE) and not name.startswith(_KEPT)):
            del environment[name]
    environment["TRACKIO_DIR"] = str(folder.absolute())
    environment["HF_HOME"] = scratch
    environment["HF_HUB_OFFLINE"] = "1"
    environment["HF_HUB_DISABLE_TELEMETRY"] = "1"


def settle_this_process(folder: Path, scratch: str) -> None:
    """Settle the variables of this process; trackio must not be imported yet."""
    settle_environment(folder, scratch, os.environ)


def require_package() -> None:
    """Raise a UserError unless trackio is installed."""
    if find_spec("trackio") is None:
        raise UserError("tracking=trackio needs trackio: pip install 'rps_bench[trackio]'")

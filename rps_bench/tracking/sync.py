"""Sends what runs left in files: everything offline under a results folder that W&B lacks."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rps_bench.errors import UserError
from rps_bench.locks import is_held
from rps_bench.tracking.session import FOLDER, hold_open, is_logged_in, settle_environment

NOT_LOGGED_IN = "not logged in to W&B, so nothing was sent: run `wandb login`, or set WANDB_API_KEY"
RUNS_PER_CALL = 200
# wandb's own patience with a server that does not answer is many minutes.
RETRIES = {"WANDB_X_GRAPHQL_RETRY_MAX": "4", "WANDB_X_GRAPHQL_RETRY_WAIT_MAX_SECONDS": "5"}


def sync_runs(results_dir: str | Path) -> int:
    """Send all offline runs under ``results_dir/wandb`` that are whole and not sent yet.

    Prints what it does. A run that is still being written waits for another time.

    Returns:
        The exit status: 0 if nothing is left to send, 1 if something could not be sent.

    Raises:
        UserError: Not logged in.
    """
    folder = Path(results_dir) / FOLDER
    whole, num_open = find_unsent(folder)
    if num_open:
        print(f"left for later, still being written: {num_open}")
    if not whole:
        print(f"nothing to send under {folder}")
        return 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        settle_environment(scratch, os.environ)
        require_login()
        _send(whole)
    unsent = [run for run in whole if not _is_sent(run)]
    print(f"sent {len(whole) - len(unsent)} of {len(whole)} runs under {folder}")
    return 1 if unsent else 0


def require_login() -> None:
    """Raise a UserError unless there are credentials that wandb can read."""
    import wandb

    try:
        has_login = is_logged_in()
    except wandb.errors.Error as error:
        raise UserError(f"W&B login: {error}") from error
    if not has_login:
        raise UserError(NOT_LOGGED_IN)


def find_unsent(folder: Path) -> tuple[list[Path], int]:
    """Folders of the offline runs to send, by start time, and the number of open ones."""
    unsent = [run for run in sorted(folder.glob("offline-run-*")) if not _is_sent(run)]
    written = [run for run in unsent if any(run.glob("run-*.wandb"))]
    whole = [run for run in written if not is_held(hold_open(run))]
    return whole, len(written) - len(whole)


def _send(runs: Sequence[Path]) -> None:
    """Hand the folders to wandb; those of one run stay in order."""
    for first in range(0, len(runs), RUNS_PER_CALL):
        paths = [str(run) for run in runs[first : first + RUNS_PER_CALL]]
        command = [sys.executable, "-P", "-m", "wandb", "sync", "--yes", *paths]
        loud = {key: value for key, value in os.environ.items() if key != "WANDB_SILENT"}
        subprocess.run(command, env=RETRIES | loud, check=False)


def _is_sent(run: Path) -> bool:
    """Whether wandb has left its mark: it ends with 0 even if it sent nothing."""
    return any(run.glob("*.wandb.synced"))

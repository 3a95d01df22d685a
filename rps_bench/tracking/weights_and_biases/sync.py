"""Sending to W&B the runs that are stored offline under a results folder."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rps_bench.core.errors import UserError
from rps_bench.runtime.locks import is_held
from rps_bench.tracking.relay.left_behind import pass_on, take_journals
from rps_bench.tracking.weights_and_biases.environment import settle_environment
from rps_bench.tracking.weights_and_biases.session import (
    FOLDER,
    SERVICE,
    hold_open,
    is_logged_in,
)

NOT_LOGGED_IN = "not logged in to W&B, so nothing was sent: run `wandb login`, or set WANDB_API_KEY"
RUNS_PER_CALL = 200
# By default wandb retries for many minutes if a server does not answer.
RETRIES = {"WANDB_X_GRAPHQL_RETRY_MAX": "4", "WANDB_X_GRAPHQL_RETRY_WAIT_MAX_SECONDS": "5"}


def sync_runs(results_dir: str | Path) -> int:
    """Send all runs under ``results_dir/wandb`` that are complete and not sent yet; print progress.

    wandb's own offline runs are sent first, then the journals of runs whose worker did not pass on
    everything. A journal holds a run from its first epoch on; W&B refuses epochs that it already
    has. Runs that are still being written are left for a later call.

    Returns:
        The exit status: 0 if nothing is left to send, 1 if something could not be sent.

    Raises:
        UserError: Not logged in.
    """
    folder = Path(results_dir) / FOLDER
    whole, num_open = find_unsent(folder)
    with ExitStack() as stack:
        journals, num_in_use = take_journals(folder, stack)
        if num_open or num_in_use:
            print(f"left for later, still being written: {max(num_open, num_in_use)}")
        if not whole and not journals:
            print(f"nothing to send under {folder}")
            return 0
        scratch = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        settle_environment(scratch, os.environ)
        require_login()
        _send(whole)
        num_unsent = sum(not _is_sent(run) for run in whole)
        # Without a connection, the worker stores the run offline instead, and says so.
        num_unsent += sum(not pass_on(SERVICE, journal, "online") for journal in journals)
    num_all = len(whole) + len(journals)
    print(f"sent {num_all - num_unsent} of {num_all} runs under {folder}")
    return 1 if num_unsent else 0


def require_login() -> None:
    """Raise a UserError unless wandb finds credentials."""
    import wandb

    try:
        has_login = is_logged_in()
    except wandb.errors.Error as error:
        raise UserError(f"W&B login: {error}") from error
    if not has_login:
        raise UserError(NOT_LOGGED_IN)


def find_unsent(folder: Path) -> tuple[list[Path], int]:
    """The folders of offline runs to send, by start time, and the number of runs still open."""
    unsent = [run for run in sorted(folder.glob("offline-run-*")) if not _is_sent(run)]
    written = [run for run in unsent if any(run.glob("run-*.wandb"))]
    whole = [run for run in written if not is_held(hold_open(run))]
    return whole, len(written) - len(whole)


def _send(runs: Sequence[Path]) -> None:
    """Let wandb send the folders; parts of one run stay in order."""
    for first in range(0, len(runs), RUNS_PER_CALL):
        paths = [str(run) for run in runs[first : first + RUNS_PER_CALL]]
        command = [sys.executable, "-P", "-m", "wandb", "sync", "--yes", *paths]
        loud = {key: value for key, value in os.environ.items() if key != "WANDB_SILENT"}
        subprocess.run(command, env=RETRIES | loud, check=False)


def _is_sent(run: Path) -> bool:
    """Whether wandb has marked the run as sent; its exit status is 0 even if it sent nothing."""
    return any(run.glob("*.wandb.synced"))

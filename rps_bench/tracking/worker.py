"""The worker's side: reads messages, tells wandb, and says in one line why it cannot.

    python -m rps_bench.tracking.worker SCRATCH

SCRATCH is a folder for wandb's caches, removed at the end. Started by `worker_process.py`, which
holds the other ends of the standard streams. If the messages end without a word on how the run
ended, the process that sent them is gone: interrupted, killed, out of memory. The run is marked so.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from typing import IO, TYPE_CHECKING, Any, NoReturn

from rps_bench.locks import hold
from rps_bench.permissions import follow_by_umask, make_folder
from rps_bench.tracking.epochs_written import EpochsWritten
from rps_bench.tracking.session import (
    Plan,
    first_line,
    hold_open,
    open_run,
    require_space,
    run_folder,
    settle_environment,
)

if TYPE_CHECKING:
    import wandb


def main() -> NoReturn:
    """Serve one run; the exit status is 0 if everything was told."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the run decides; its end is the end of messages
    messages, notes = _take_streams()
    scratch = sys.argv[1]
    settle_environment(scratch, os.environ)
    status = 0
    try:
        for note in serve(json.loads(line) for line in messages):
            _tell(note, notes)
    except Exception as error:  # of wandb, which may raise anything: the run must not care
        _tell(first_line(error), notes)
        status = 1
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(status)  # wandb's exit handlers may wait for a service that is gone


def _tell(line: str, notes: IO[str]) -> None:
    with suppress(BrokenPipeError):  # an interrupted command has gone
        print(line, file=notes, flush=True)


def serve(messages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Open the run of the first message, log the others, end it; yield lines to show."""
    import wandb

    pending = iter(messages)
    start = dict(next(pending)["run"])
    if_cut_off = {"summary": start.pop("on_end"), "exit_code": 1, "config": {}}
    plan = Plan(**start)
    follow_by_umask(make_folder(plan.folder))  # for what wandb writes there
    run, note = open_run(plan)
    if note is not None:
        yield note
    folder = run_folder(run)
    with hold(hold_open(folder)) if folder.is_dir() else nullcontext():
        last_words = _log_epochs(run, pending, EpochsWritten(folder)) or if_cut_off
        for key, value in last_words["config"].items():
            run.config[key] = value
        run.summary.update(last_words["summary"])
        run.finish(exit_code=last_words["exit_code"])
    wandb.teardown()
    require_space(plan.folder)


def _log_epochs(
    run: "wandb.Run", messages: Iterable[Mapping[str, Any]], written: EpochsWritten
) -> Mapping[str, Any] | None:
    """One call of wandb per epoch; return the last message, None if there was none.

    The epoch is wandb's step too, so that a server refuses an epoch that a resumed run does again.
    Rows are committed at once: one that wandb holds back would overwrite the summary at the end.
    """
    run.define_metric("epoch", hidden=True)
    run.define_metric("*", step_metric="epoch")
    for message in messages:
        if message["kind"] == "end":
            return message
        values = message["values"]
        if values["epoch"] > written.last_before:
            run.log(values, step=values["epoch"], commit=True)
            written.note(values["epoch"])
    return None


def _take_streams() -> tuple[IO[str], IO[str]]:
    """Standard input and output for this page alone: wandb and its service inherit none."""
    messages, notes = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    return messages, notes


if __name__ == "__main__":
    main()

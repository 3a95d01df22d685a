"""The worker's side: reads a journal, tells wandb, and says in one line why it cannot.

    python -m rps_bench.tracking.worker SCRATCH JOURNAL [MODE]

SCRATCH is a folder for wandb's caches, removed at the end; touched while the worker lives. JOURNAL
is deleted once wandb has everything. MODE of wandb replaces the one that the journal asks for.
Started by `worker_process.py`, which holds the other ends of the standard streams. If the messages
end without a word on how the run ended, the process that sent them is gone: interrupted, killed,
out of memory. The run is marked so.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from rps_bench.locks import hold
from rps_bench.permissions import follow_by_umask, make_folder
from rps_bench.tracking.environment import settle_environment
from rps_bench.tracking.epochs_written import EpochsWritten
from rps_bench.tracking.journal import follow
from rps_bench.tracking.session import (
    Plan,
    first_line,
    hold_open,
    open_run,
    require_space,
    run_folder,
)
from rps_bench.tracking.vital_signs import Heart

if TYPE_CHECKING:
    import wandb


def main() -> NoReturn:
    """Serve one run; the exit status is 0 if everything was told."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the run decides; its end is the end of messages
    bell, notes = _take_streams()
    scratch, journal, changes = Path(sys.argv[1]), Path(sys.argv[2]), {}
    if len(sys.argv) > 3:
        changes["mode"] = sys.argv[3]
    settle_environment(str(scratch), os.environ)
    status = 0
    with Heart(scratch) as heart:
        try:
            for note in serve(follow(journal, bell), heart.step, changes):
                _tell(note, notes)
            journal.unlink(missing_ok=True)
        except Exception as error:  # of wandb, which may raise anything: the run must not care
            _tell(first_line(error), notes)
            status = 1
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(status)  # wandb's exit handlers may wait for a service that is gone


def _tell(line: str, notes: IO[str]) -> None:
    with suppress(BrokenPipeError):  # an interrupted command has gone
        print(line, file=notes, flush=True)


def serve(
    messages: Iterable[Mapping[str, Any]], step: Callable[[], None], changes: Mapping[str, Any]
) -> Iterator[str]:
    """Open the run of the first message, log the others, end it; yield lines to show.

    Args:
        messages: One run's, of one command or of several in their order.
        step: Called whenever something is done.
        changes: Of the run's plan.
    """
    import wandb

    step()
    pending = iter(messages)
    start = dict(next(pending)["run"])
    if_cut_off = {"summary": start.pop("on_end"), "exit_code": 1, "config": {}}
    plan = Plan(**start | dict(changes))
    follow_by_umask(make_folder(plan.folder))  # for what wandb writes there
    run, note = open_run(plan)
    step()
    if note is not None:
        yield note
    folder = run_folder(run)
    with hold(hold_open(folder)) if folder.is_dir() else nullcontext():
        last_words = _log_epochs(run, pending, EpochsWritten(folder), step) or if_cut_off
        for key, value in last_words["config"].items():
            run.config[key] = value
        run.summary.update(last_words["summary"])
        step()
        run.finish(exit_code=last_words["exit_code"])
    step()
    wandb.teardown()
    require_space(plan.folder)


def _log_epochs(
    run: "wandb.Run",
    messages: Iterable[Mapping[str, Any]],
    written: EpochsWritten,
    step: Callable[[], None],
) -> Mapping[str, Any] | None:
    """One call of wandb per epoch; return the last command's last message, None if it left none.

    The epoch is wandb's step too, so that a server refuses an epoch that a resumed run does again.
    Rows are committed at once: one that wandb holds back would overwrite the summary at the end.
    """
    run.define_metric("epoch", hidden=True)
    run.define_metric("*", step_metric="epoch")
    last_words, last_epoch = None, written.last_before
    for message in messages:
        if message["kind"] != "log":  # the end of one command, or the start of the next one
            last_words = message if message["kind"] == "end" else None
        elif message["values"]["epoch"] > last_epoch:
            last_epoch = message["values"]["epoch"]
            run.log(message["values"], step=last_epoch, commit=True)
            written.note(last_epoch)
        step()
    return last_words


def _take_streams() -> tuple[int, IO[str]]:
    """Standard input and output for this page alone: wandb and its service inherit none."""
    bell, notes = os.dup(0), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    return bell, notes


if __name__ == "__main__":
    main()

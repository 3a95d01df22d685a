"""The worker process of W&B: passes the messages of a journal to wandb.

    python -m rps_bench.tracking.weights_and_biases.worker SCRATCH JOURNAL [MODE]

SCRATCH is a folder for wandb's caches. MODE replaces the wandb mode that the journal asks for.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from rps_bench.core.permissions import follow_by_umask, make_folder
from rps_bench.runtime.locks import hold
from rps_bench.tracking.relay.troubles import require_space
from rps_bench.tracking.relay.worker import run_worker
from rps_bench.tracking.weights_and_biases.environment import settle_environment
from rps_bench.tracking.weights_and_biases.epochs_written import EpochsWritten
from rps_bench.tracking.weights_and_biases.session import (
    RunToOpen,
    hold_open,
    open_run,
    run_folder,
)

if TYPE_CHECKING:
    import wandb


def main() -> NoReturn:
    """Serve one run; the exit status is 0 if everything was passed on."""
    changes = {"mode": sys.argv[3]} if len(sys.argv) > 3 else {}
    run_worker(settle_environment, lambda messages, step: serve(messages, step, changes))


def serve(
    messages: Iterable[Mapping[str, Any]], step: Callable[[], None], changes: Mapping[str, Any]
) -> Iterator[str]:
    """Open the run of the first message, log the others, end the run; yield lines to show.

    Args:
        messages: The messages of one run, from one command or several in order.
        step: Called after every step of progress.
        changes: Replacements in the run's wanted.
    """
    import wandb

    step()
    pending = iter(messages)
    # The first message says how to open the run, and how to mark it if no end message follows.
    start = dict(next(pending)["run"])
    if_cut_off = {"summary": start.pop("on_end"), "exit_code": 1, "config": {}}
    wanted = RunToOpen(**start | dict(changes))
    follow_by_umask(make_folder(wanted.folder))  # for what wandb writes there
    run, note = open_run(wanted)
    step()
    if note is not None:
        yield note
    folder = run_folder(run)
    # The lock keeps `sync` from sending the folder of a run that is still being written.
    with hold(hold_open(folder)) if folder.is_dir() else nullcontext():
        last_words = _log_epochs(run, pending, EpochsWritten(folder), step) or if_cut_off
        for key, value in last_words["config"].items():
            run.config[key] = value
        run.summary.update(last_words["summary"])
        step()
        run.finish(exit_code=last_words["exit_code"])
    step()
    wandb.teardown()
    require_space(wanted.folder)  # wandb would not report that the disk became full


def _log_epochs(
    run: "wandb.Run",
    messages: Iterable[Mapping[str, Any]],
    written: EpochsWritten,
    step: Callable[[], None],
) -> Mapping[str, Any] | None:
    """Log each epoch; return the end message of the last command, None if it left none.

    The epoch is also wandb's step, so that a server refuses an epoch that a resumed run repeats.
    Each row is committed at once: an uncommitted row would overwrite the summary at the end.
    """
    run.define_metric("epoch", hidden=True)
    run.define_metric("*", step_metric="epoch")
    last_words, last_epoch = None, written.last_before
    # A resumed run repeats the start message, and epochs since its last checkpoint.
    for message in messages:
        if message["kind"] != "log":  # the end of one command, or the start of the next one
            last_words = message if message["kind"] == "end" else None
        elif message["values"]["epoch"] > last_epoch:
            last_epoch = message["values"]["epoch"]
            run.log(message["values"], step=last_epoch, commit=True)
            written.note(last_epoch)
        step()
    return last_words


if __name__ == "__main__":
    main()

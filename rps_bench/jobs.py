"""Doing runs: in this process, one after the other, beside other processes that do the same.

A run that another process is at is put off and looked at again when the rest is done: any number
of processes share out one sweep over one results folder, and what a dead one leaves is taken up.
"""

import multiprocessing
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from omegaconf import DictConfig

from rps_bench.config import RunConfig
from rps_bench.console import RunProgress, say
from rps_bench.done import find_done
from rps_bench.errors import InapplicableError, UserError
from rps_bench.interrupts import StopSignals, Undisturbed
from rps_bench.locks import InUseError
from rps_bench.records.schema import Record, headline_accuracy
from rps_bench.slots import gpu_slot
from rps_bench.storages import EXACT
from rps_bench.sweep import freeze_composed
from rps_bench.tracking import Tracker, build_tracker
from rps_bench.workers import job_of_a_worker

POLL_SECONDS = 1.0
LONGEST_POLL_SECONDS = 30.0


def run_composed(composed: DictConfig) -> None:
    """One job of a launcher plugin, in a process of its own."""
    try:
        config = freeze_composed(composed)
    except InapplicableError:
        return  # the plan said so
    is_worker = multiprocessing.parent_process() is not None
    with job_of_a_worker() if is_worker else StopSignals() as signals:
        if signals is not None:
            work_through([config], signals.undisturbed)


def work_through(configs: Sequence[RunConfig], undisturbed: Undisturbed = nullcontext) -> None:
    """Do all runs that are not recorded yet; returns when every one was tried or is recorded.

    Args:
        configs: The runs.
        undisturbed: Makes contexts for what no signal may cut.
    """
    pending, pause = list(configs), POLL_SECONDS
    while pending:
        put_off = [config for config in pending if not _try(config, undisturbed)]
        if len(put_off) == len(pending):
            if pause == POLL_SECONDS:
                say(f"waiting for other processes: {', '.join(c.run_id for c in put_off)}")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL_SECONDS)
        else:
            pause = POLL_SECONDS
        pending = put_off


def _try(config: RunConfig, undisturbed: Undisturbed) -> bool:
    """Do one run unless it is done; False where another process is at it."""
    if find_done(config) is not None:
        return True
    if config.storage != EXACT:
        trained = config.with_exact_storage
        if not _try(trained, undisturbed):
            return False
        if find_done(trained) is None:  # its reason was shown
            return True
    from rps_bench.run import record_failure

    try:
        with (
            _resources(config) as placed,
            RunProgress(placed.run_id, placed.recipe.epochs) as progress,
            build_tracker(**placed.tracking) as tracker,
        ):
            record = _do(placed, progress, tracker, undisturbed)
        say(describe(record))
    except InUseError:
        return False
    except Exception as error:
        with undisturbed():  # which raises if it was a signal that made a library fail
            pass
        if isinstance(error, UserError):  # for example missing images: the other runs go on
            show_error(error)
            return True
        traceback.print_exc()
        record_failure(config, f"{type(error).__name__}: {error}".splitlines()[0])
    return True


def _do(
    config: RunConfig, progress: RunProgress, tracker: Tracker, undisturbed: Undisturbed
) -> Record:
    if config.storage != EXACT:
        from rps_bench.rounding import round_run

        return round_run(config, tracker)
    from rps_bench.run import run

    return run(config, progress, tracker, undisturbed)


@contextmanager
def _resources(config: RunConfig) -> Iterator[RunConfig]:
    """The run with the device of its slot, in a process with its number of threads."""
    if config.threads is not None:
        import torch

        torch.set_num_threads(config.threads)
    if not config.gpus:
        yield config
        return
    with gpu_slot(config.gpus, config.runs_per_gpu) as device:
        yield replace(config, device=device)


def describe(record: Record) -> str:
    """One line on a finished run."""
    size = record["size"]
    accuracy = headline_accuracy(record)
    result = f"accuracy {accuracy:.2f}%" if accuracy is not None else str(record["reason"])
    return (
        f"{record['status']}: {record['run_id']}  {result}  "
        f"true compression {size['true_compression']:.2f}x"
    )


def show_error(error: UserError) -> None:
    """One line on standard error."""
    print(f"rps_bench: error: {error}", file=sys.stderr, flush=True)

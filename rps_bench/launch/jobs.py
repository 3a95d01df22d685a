"""Doing runs: in this process, one after the other or several at once, beside other processes.

A run that another process is at is put off and looked at again when the rest is done:
any number of processes share out one sweep over one results folder, and what a dead one leaves is
taken up.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from rps_bench.config import RunConfig
from rps_bench.core.console import say
from rps_bench.core.errors import UserError, describe_failure
from rps_bench.core.storages import EXACT
from rps_bench.launch.attempt import Attempt, make_room, note_failure, show_failure
from rps_bench.launch.groups import find_groups
from rps_bench.launch.progress import RunProgress
from rps_bench.launch.screen import Screen
from rps_bench.records.done import find_done
from rps_bench.records.reasons import explained_failures, is_out_of_memory
from rps_bench.records.store import find_record
from rps_bench.runtime.cores import set_threads
from rps_bench.runtime.determinism import repeatable_algorithms
from rps_bench.runtime.gpu_slots import gpu_slot
from rps_bench.runtime.locks import InUseError
from rps_bench.runtime.signals import undisturbed
from rps_bench.runtime.turns import ask_for_room
from rps_bench.sweep.outcomes import describe
from rps_bench.tracking import build_tracker

if TYPE_CHECKING:
    from rps_bench.datasets.placed import PlacedData

POLL_SECONDS = 1.0
LONGEST_POLL_SECONDS = 30.0


def work_through(
    configs: Sequence[RunConfig],
    screen: Screen | None = None,
    note_tried: Callable[[RunConfig], None] = lambda config: None,
) -> bool:
    """Do all runs that are not recorded yet, until each is recorded or was tried.

    Args:
        configs: The runs.
        screen: Where to draw the bar of a run; None: nowhere.
        note_tried: Called with each run once that is over.

    Returns:
        Whether every failure has a record that tells it. On a full disk it may have none.
    """
    pending, pause = list(configs), POLL_SECONDS
    tells_all = True
    while pending:
        tried: list[tuple[RunConfig, Attempt]] = []
        for group in find_groups(pending):
            tried += _try_all(group, screen, note_tried)
        if any(attempt is Attempt.LOST for _, attempt in tried):
            tells_all = False
        pending = [config for config, attempt in tried if attempt is Attempt.PUT_OFF]
        # Where other processes are at all that is left, there is nothing to do but wait for them.
        if len(pending) == len(tried):
            if pause == POLL_SECONDS:
                say(f"waiting for other processes: {', '.join(c.run_id for c in pending)}")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL_SECONDS)
        else:
            pause = POLL_SECONDS
        # Alone, a run has all the memory that there is.
        crowded = [config for config, attempt in tried if attempt is Attempt.CROWDED]
        pending += [config.alone for config in crowded]
    return tells_all


def _try_all(
    configs: Sequence[RunConfig], screen: Screen | None, note_tried: Callable[[RunConfig], None]
) -> list[tuple[RunConfig, Attempt]]:
    """Do the runs of a group that are not done, at once or one after the other."""

    def attempt(
        config: RunConfig, placed: "PlacedData | None" = None, screen: Screen | None = None
    ) -> Attempt:
        ended = _try(config, placed, screen)
        if ended in (Attempt.OVER, Attempt.LOST):
            note_tried(config)
        return ended

    with repeatable_algorithms(configs[0].compute.deterministic):
        if len(configs) > 1 and _takes_turns(configs[0]):
            ends = _try_at_once(configs, attempt)  # without bars: only one has a place
            return list(zip(configs, ends, strict=True))
        return [(config, attempt(config, screen=screen)) for config in configs]


def _takes_turns(config: RunConfig) -> bool:
    """Whether runs like this one are done at once: on a CPU only if more than 1 is asked for."""
    compute = config.compute
    if compute.population is not None:
        return compute.population > 1
    with undisturbed():  # C++ that a signal would end is imported
        from rps_bench.runtime.devices import resolve_device
    return bool(compute.gpus) or resolve_device(compute.device).type == "cuda"


def _try_at_once(
    configs: Sequence[RunConfig], attempt: "Callable[[RunConfig, PlacedData], Attempt]"
) -> list[Attempt]:
    """Do the runs of a group in turns, on one slot of a GPU where runs are spread over GPUs."""
    with undisturbed():  # C++ that a signal would end is imported
        from rps_bench.launch.concurrent import do_at_once
    # The group takes one slot and one set of threads, so its runs take none of their own.
    with _resources(configs[0]) as first:
        here = [config.on_device(first.compute.device) for config in configs]
        return do_at_once(
            [partial(attempt, config) for config in here],
            first.compute.device,
            first.compute.population,
        )


def try_beside_others(config: RunConfig) -> Attempt:
    """Do one run unless it is done, in a process among several, whose lines no bar may cover."""
    with repeatable_algorithms(config.compute.deterministic):
        return _try(config)


def _try(
    config: RunConfig, placed: "PlacedData | None" = None, screen: Screen | None = None
) -> Attempt:
    """Do one run unless it is done.

    Args:
        config: The run.
        placed: Images of the runs that take turns with it; None for a run alone.
        screen: Where to draw its bar; None: nowhere.
    """
    if find_done(config) is not None:
        return Attempt.OVER
    # A rounded run needs the model of the run that trains it, so that one comes first.
    if config.storage != EXACT:
        trained = config.with_exact_storage
        attempt = _try(trained, placed, screen)
        if attempt is not Attempt.OVER:
            return attempt
        if find_done(trained) is None:  # its reason was shown
            has_failed = find_record(*trained.record_place) is not None
            return Attempt.LOST if has_failed else Attempt.OVER
    failure: str | None = None
    is_crowded = False
    try:
        with (
            _resources(config) as here,
            RunProgress(here.run_id, here.recipe.epochs, screen) as progress,
            build_tracker(**here.files.tracking) as tracker,
            explained_failures(here),
        ):
            with undisturbed():  # C++ that a signal would end is imported
                from rps_bench.run import run
            record = run(here, progress, tracker, placed)
        if record is not None:  # else another process has said so
            say(describe(record))
    except InUseError:
        return Attempt.PUT_OFF
    except Exception as error:
        # A library that a signal cut may have raised an error of its own. Then this raises the
        # signal's: the run has not failed.
        with undisturbed():
            pass
        is_crowded = is_out_of_memory(error) and ask_for_room()
        if not is_crowded:
            show_failure(config, error)
        if not isinstance(error, UserError):
            failure = describe_failure(error)
    # Out here nothing holds on to the run's memory any more.
    if is_crowded:
        return make_room(config)
    return Attempt.OVER if failure is None else note_failure(config, failure)


@contextmanager
def _resources(config: RunConfig) -> Iterator[RunConfig]:
    """The run with the device of its slot, in a process with its number of threads."""
    compute = config.compute
    set_threads(compute.threads)
    if not compute.gpus:
        yield config
        return
    with gpu_slot(compute.gpus, compute.runs_per_gpu) as device:
        yield config.on_device(device)

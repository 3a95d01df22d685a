"""How trying a run ends, and what is said and recorded where it ends badly.

torch is imported inside functions: a run that is recorded already is never tried.
"""

import traceback
from enum import Enum, auto

from rps_bench.config import RunConfig
from rps_bench.core.console import say
from rps_bench.core.errors import ExplainedError, UserError, describe_failure, explain
from rps_bench.core.output import show_error
from rps_bench.records.store import find_finished


class Attempt(Enum):
    """How trying a run ended."""

    OVER = auto()  # recorded, with a failure as well; or its error was the user's to mend
    PUT_OFF = auto()  # another run is at it, here or in another process
    CROWDED = auto()  # runs beside it left too little memory
    LOST = auto()  # it failed, and no record of its own tells so


def show_failure(config: RunConfig, error: Exception) -> None:
    """Show one line on what is known to go wrong, a traceback for what may be a fault of ours."""
    if isinstance(error, UserError):  # for example missing images: the other runs go on
        show_error(error)
        return
    if isinstance(error, OSError) and error.strerror is not None:  # such as a full disk
        line = f"{config.run_id}: {explain(error)}; the same command goes on once that is mended"
        show_error(UserError(line))
        return
    if not isinstance(error, ExplainedError):
        traceback.print_exc()
    say(f"failed: {config.run_id}  {describe_failure(error)}")


def note_failure(config: RunConfig, reason: str) -> Attempt:
    """Record why a run failed, unless the disk does not take it; a finished record stays."""
    from rps_bench.records.build import record_failure
    from rps_bench.runtime.devices import free_memory

    free_memory()
    if find_finished(*config.record_place) is not None:
        return Attempt.LOST
    try:
        record_failure(config, reason)
    except OSError:  # what went wrong first was shown
        return Attempt.LOST
    return Attempt.OVER


def make_room(config: RunConfig) -> Attempt:
    """Put a run off that others left too little memory for, and give back what it had."""
    from rps_bench.runtime.devices import free_memory

    say(f"put off: {config.run_id}  out of memory beside other runs, tried again alone")
    free_memory()
    return Attempt.CROWDED

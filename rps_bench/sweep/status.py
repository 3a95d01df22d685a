"""How far a run is, told from what lies in its results folder."""

from rps_bench.config import RunConfig
from rps_bench.records.done import find_done
from rps_bench.records.schema import FINISHED
from rps_bench.records.store import find_record

IN_PROGRESS, FAILED_BEFORE = "in progress", "failed before"
TO_DO = ("new", "begun", FAILED_BEFORE, "without its file")


def find_state(config: RunConfig, begun: dict[str, bool]) -> str:
    """The state of a run: ``completed``, ``diverged``, ``in progress`` or one of `TO_DO`.

    Args:
        config: The run.
        begun: Run ids with work that has not ended, and whether a process is at it.
    """
    done = find_done(config)
    if done is not None:
        return str(done["status"])
    if begun.get(config.run_id):
        return IN_PROGRESS
    record = find_record(*config.record_place)
    if record is not None and record["status"] not in FINISHED:
        return FAILED_BEFORE  # also where it has left a state to go on from
    if config.run_id in begun:
        return "begun"
    return "new" if record is None else "without its file"

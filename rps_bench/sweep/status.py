"""How far a run is, told from what lies in its results folder."""

from rps_bench.config import RunConfig
from rps_bench.records.done import find_done
from rps_bench.records.schema import FINISHED
from rps_bench.records.store import find_record

TO_DO = ("new", "begun", "failed before", "without its file")


def find_state(config: RunConfig, begun: dict[str, bool]) -> str:
    """The state of a run: ``completed``, ``diverged``, ``in progress`` or one of `TO_DO`.

    Args:
        config: The run.
        begun: Run ids with work that has not ended, and whether a process is at it.
    """
    done = find_done(config)
    if done is not None:
        return str(done["status"])
    if config.run_id in begun:
        return "in progress" if begun[config.run_id] else "begun"
    record = find_record(*config.record_place)
    if record is None:
        return "new"
    return "without its file" if record["status"] in FINISHED else "failed before"

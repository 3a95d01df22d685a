"""Which runs are done: recorded, and with their model's file where that is wanted."""

from rps_bench.config import RunConfig
from rps_bench.records.models import model_path
from rps_bench.records.schema import Record
from rps_bench.records.store import find_finished


def find_done(config: RunConfig) -> Record | None:
    """The record of a run that need not be done again, None if there is none.

    A run that was recorded without its model is done again when the model is wanted. One that
    diverged has no model.
    """
    record = find_finished(*config.record_place)
    if record is None or not config.files.keep_model or record["status"] == "diverged":
        return record
    return record if model_path(*config.record_place).is_file() else None

"""Records: one JSON file per run, checked, written atomically, with its provenance.

A record is a plain JSON dict (`schema.py` defines it). All reports are made from records alone.
"""

from rps_bench.records.provenance import collect_provenance
from rps_bench.records.schema import (
    FINISHED,
    SCHEMA_VERSION,
    STATUSES,
    EvaluationSplit,
    Record,
    RecordError,
    check_record,
    headline_accuracy,
    split_of,
)
from rps_bench.records.store import (
    Problem,
    find_finished,
    find_record,
    read_record,
    read_records,
    record_path,
    write_record,
)

__all__ = [
    "FINISHED",
    "SCHEMA_VERSION",
    "STATUSES",
    "EvaluationSplit",
    "Problem",
    "Record",
    "RecordError",
    "check_record",
    "collect_provenance",
    "find_finished",
    "find_record",
    "headline_accuracy",
    "read_record",
    "read_records",
    "record_path",
    "split_of",
    "write_record",
]

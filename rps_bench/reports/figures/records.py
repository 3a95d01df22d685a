"""The records behind a panel's runs, for what the table does not hold."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rps_bench.records import Record
from rps_bench.reports.figures.panels import Panel


class RunRecord(NamedTuple):
    """A run of a panel: its curve and its record."""

    method: str
    method_kind: str | None
    label: str
    compression: float
    has_diverged: bool
    record: Record


def find_records(panel: Panel, records: Sequence[Record]) -> Iterator[RunRecord]:
    """Yield the panel's runs with their records, in the order of its table."""
    by_identity = {_identify(r["run_id"], r["provenance"].get("started_at")): r for r in records}
    columns = [*RunRecord._fields[:-1], "run_id", "started_at"]
    for row in panel.runs[columns].itertuples(index=False, name=None):
        method, kind, label, compression, has_diverged, run_id, started_at = row
        record = by_identity[_identify(run_id, started_at)]
        yield RunRecord(method, kind, label, compression, has_diverged, record)


def _identify(run_id: str, started_at: Any) -> tuple[str, str]:
    """The key of a record: records with the same run id differ at least in their date."""
    return run_id, started_at if isinstance(started_at, str) else ""

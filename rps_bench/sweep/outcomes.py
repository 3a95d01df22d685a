"""What became of the runs of a command, told from their records alone."""

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from rps_bench.config import RunConfig
from rps_bench.core.console import say, show_table
from rps_bench.core.errors import one_line
from rps_bench.records.done import find_done
from rps_bench.records.schema import FINISHED, Record, headline_accuracy
from rps_bench.records.store import find_record

MISSING = "not recorded"


Outcomes = Sequence[tuple[RunConfig, Record | None]]


def describe(record: Record) -> str:
    """One line on a finished run."""
    size = record["size"]
    accuracy = headline_accuracy(record)
    result = f"accuracy {accuracy:.2f}%" if accuracy is not None else str(record["reason"])
    return (
        f"{record['status']}: {record['run_id']}  {result}  "
        f"true compression {size['true_compression']:.2f}x"
    )


def find_outcomes(configs: Sequence[RunConfig]) -> Outcomes:
    """Each run with its record, None where it has none, or lacks the file that it was to keep."""
    return [(config, find_done(config) or _find_failure(config)) for config in configs]


def show_outcomes(outcomes: Outcomes) -> None:
    """One table of all outcomes, those that need a look last, and one line that counts them."""
    table = Table(box=None, pad_edge=False)
    for title in ("run", "outcome", "accuracy", "true compression", "seconds", "reason"):
        justify = "right" if title in ("accuracy", "true compression", "seconds") else "left"
        table.add_column(title, no_wrap=title != "reason", justify=justify)  # type: ignore[arg-type]
    for config, record in sorted(outcomes, key=lambda item: _status(item[1]) != "completed"):
        table.add_row(config.run_id, *_cells(record))
    show_table(table)
    counts = Counter(_status(record) for _, record in outcomes)
    num_failed = counts["failed"] + counts[MISSING]
    say(f"{len(outcomes)} runs: {len(outcomes) - num_failed} recorded, {num_failed} failed")


def exit_status(outcomes: Outcomes, tells_all: bool) -> int:
    """0: all recorded; 1: a run failed; 2: one could not start, for a reason the user can mend.

    Args:
        outcomes: Of `find_outcomes`.
        tells_all: Whether records tell all failures, as `work_through` returns.
    """
    statuses = {_status(record) for _, record in outcomes}
    if MISSING in statuses:
        return 2 if tells_all else 1  # its one line was shown when it was tried
    return 0 if statuses <= set(FINISHED) else 1


def _find_failure(config: RunConfig) -> Record | None:
    record = find_record(*config.record_place)
    return record if record is not None and record["status"] not in FINISHED else None


def _cells(record: Record | None) -> tuple[str, str, str, str, str]:
    if record is None:
        return MISSING, "", "", "", "see its line above"
    size, cost = record["size"], record["cost"]
    accuracy = headline_accuracy(record)
    return (
        str(record["status"]),
        "" if accuracy is None else f"{accuracy:.2f}%",
        "" if size["true_compression"] is None else f"{size['true_compression']:.2f}x",
        "" if cost["train_seconds"] is None else f"{cost['train_seconds']:.1f}",
        one_line(record["reason"] or ""),
    )


def _status(record: Record | None) -> str:
    return MISSING if record is None else str(record["status"])

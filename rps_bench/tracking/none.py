"""The tracker that tracks nothing: no dashboard."""

from typing import TYPE_CHECKING

from rps_bench.records.schema import Record
from rps_bench.tracking.base import RunDescription, Tracker

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult


class NoTracker(Tracker):
    """A tracker that ignores all calls."""

    def start(self, run: RunDescription) -> None:
        """Do nothing."""

    def log_epoch(self, level: int, result: "EpochResult") -> None:
        """Do nothing."""

    def finish(self, record: Record) -> None:
        """Do nothing."""

    def fail(self, reason: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

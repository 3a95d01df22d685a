"""What every tracker is: something that hears how one run goes, and never stops it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rps_bench.errors import describe_crash
from rps_bench.records.schema import Record

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult


@dataclass(frozen=True)
class RunDescription:
    """A run that starts, in the words of its record.

    Attributes:
        run_id: Its identity.
        config: The ``config`` block of the record to come.
        results_dir: Where that record goes.
    """

    run_id: str
    config: Mapping[str, Any]
    results_dir: str


class Tracker(ABC):
    """A context around one run. No method raises because of the tracker's own troubles.

    Leaving the context with an exception tells why the run failed; leaving it before ``finish``
    without one, or with an interrupt, tells that the run was interrupted.
    """

    @abstractmethod
    def start(self, run: RunDescription) -> None:
        """Called once, before training."""

    @abstractmethod
    def log_epoch(self, level: int, result: "EpochResult") -> None:
        """Called after each epoch's evaluation.

        Args:
            level: 0, or the level of a chain of trainings.
            result: What the epoch gave; its numbers are of the split the run is evaluated on.
        """

    @abstractmethod
    def finish(self, record: Record) -> None:
        """Called once the record is written."""

    @abstractmethod
    def fail(self, reason: str) -> None:
        """Called instead of ``finish`` if the run crashed."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; a run that has neither finished nor failed was interrupted."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self.fail(describe_crash(error))
        self.close()

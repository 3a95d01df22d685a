"""The contract of trackers: callbacks on the progress of one run, which never stop it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from rps_bench.core.errors import describe_failure
from rps_bench.records.schema import Record
from rps_bench.tracking.service import Service

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult


@dataclass(frozen=True)
class RunDescription:
    """A run that starts, described as in its record.

    Attributes:
        run_id: The id of the run.
        config: The ``config`` block of its future record.
        results_dir: The folder that the record is written to.
    """

    run_id: str
    config: Mapping[str, Any]
    results_dir: str


class Tracker(ABC):
    """A context around one run. No method raises because of troubles of the tracker itself.

    If the context is left with an exception, the run failed for that reason. If it is left before
    ``finish`` without an exception, or with an interrupt, the run was interrupted.

    Attributes:
        service: The package that shows the runs; None: they are shown nowhere.
    """

    service: ClassVar[Service | None] = None

    @abstractmethod
    def start(self, run: RunDescription) -> None:
        """Note that the run starts. Called once, before training."""

    @abstractmethod
    def log_epoch(self, level: int, result: "EpochResult") -> None:
        """Log an epoch. Called after the evaluation of each.

        Args:
            level: The level in a chain of trainings, else 0.
            result: The results of the epoch, on the split that the run is evaluated on.
        """

    @abstractmethod
    def finish(self, record: Record) -> None:
        """Log the final results. Called once the record is written."""

    @abstractmethod
    def fail(self, reason: str) -> None:
        """Note why the run failed. Called instead of ``finish``."""

    @abstractmethod
    def close(self) -> None:
        """Release everything; a run that has neither finished nor failed was interrupted."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self.fail(describe_failure(error))
        self.close()

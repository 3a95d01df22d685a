"""A tracker that tells a worker process of its runs, and is silent after an error.

Only the worker process imports the dashboard's package.
"""

import sys
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rps_bench.core.errors import explain
from rps_bench.records.schema import Record
from rps_bench.tracking.base import RunDescription, Tracker
from rps_bench.tracking.describe import (
    INTERRUPTED,
    epoch_values,
    final_values,
    provenance_settings,
    unfinished_values,
)
from rps_bench.tracking.relay.journal import Journal, open_journal
from rps_bench.tracking.relay.worker_process import WorkerError, WorkerProcess
from rps_bench.tracking.service import Service, sync_command

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult


class RelayTracker(Tracker):
    """One run on a dashboard, through a journal and a worker."""

    service: ClassVar[Service]

    def __init__(self) -> None:
        self._run: RunDescription | None = None
        self._journal: Journal | None = None
        self._worker: WorkerProcess | None = None

    @abstractmethod
    def plan(self, run: RunDescription) -> dict[str, Any]:
        """The settings with which the worker opens the run."""

    def opening(self, run: RunDescription) -> dict[str, Any]:
        """The first message: how to open the run, and how to mark it if no end message follows."""
        on_end = unfinished_values(run, INTERRUPTED, None)
        return {"kind": "start", "run": self.plan(run) | {"on_end": on_end}}

    def root(self, run: RunDescription) -> str:
        """The folder that holds the package's own."""
        return run.results_dir

    def identity(self, run: RunDescription) -> str:
        """The id of the run within its folder."""
        return run.run_id

    def start(self, run: RunDescription) -> None:
        """Start the worker and pass it the run, which it opens while this process prepares."""
        self._run = run
        try:
            folder = Path(self.root(run)) / self.service.folder
            self._journal = open_journal(folder, self.identity(run))
        except OSError as error:
            self._give_up(explain(error))
            return
        self._append(self.opening(run))
        if self._journal is None:
            return
        try:
            self._worker = WorkerProcess(self.service, self._journal)
        except OSError as error:
            self._give_up(f"no process for it ({error.strerror})")
        else:
            self._ring()

    def log_epoch(self, level: int, result: "EpochResult") -> None:
        """Send one message: a point of each curve."""
        if self._run is not None:
            self._tell({"kind": "log", "values": epoch_values(level, result, self._run)})

    def finish(self, record: Record) -> None:
        """Write the record's numbers to the run's summary and end the run."""
        exit_code = int(record["status"] == "failed")
        self._end(final_values(record), exit_code, provenance_settings(record))

    def fail(self, reason: str) -> None:
        """Mark the run as failed."""
        if self._run is not None:
            self._end(unfinished_values(self._run, "failed", reason), 1, {})

    def close(self) -> None:
        """Mark a run that is still open as interrupted; waits only briefly for the worker."""
        if self._run is not None:
            self._tell_end(unfinished_values(self._run, INTERRUPTED, None), 1, {})
        if self._worker is not None:
            for note in self._worker.leave():
                self._warn(note)
            self._worker = None
        self._close_journal()

    def _end(self, summary: dict[str, Any], exit_code: int, config: dict[str, Any]) -> None:
        """Send the last message and wait for the worker to end, as long as it is alive."""
        self._tell_end(summary, exit_code, config)
        if self._worker is not None:
            try:
                for note in self._worker.end():
                    self._warn(note)
            except WorkerError as error:
                self._give_up(str(error))
            else:
                self._end_worker()
        self._close_journal()

    def _tell_end(self, summary: dict[str, Any], exit_code: int, config: dict[str, Any]) -> None:
        self._tell({"kind": "end", "summary": summary, "exit_code": exit_code, "config": config})

    def _tell(self, message: Mapping[str, Any]) -> None:
        """Write a message to the journal and notify the worker, if there is one."""
        self._append(message)
        self._ring()

    def _append(self, message: Mapping[str, Any]) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(message)
        except OSError as error:
            self._give_up(explain(error))
            self._close_journal()

    def _ring(self) -> None:
        if self._worker is None:
            return
        try:
            self._worker.ring()
        except WorkerError as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        """Stop the worker and say why, once; later messages are only written to the journal."""
        self._end_worker()
        title = self.service.title
        text = f"{reason}; training goes on without {title}, the record is complete without it"
        if self._journal is not None and self._run is not None:
            text += f"; its epochs wait for: {sync_command(self.root(self._run))}"
        self._warn(text)

    def _end_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def _close_journal(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _warn(self, text: str) -> None:
        run_id = "" if self._run is None else self._run.run_id
        print(f"rps_bench: {self.service.title}: {run_id}: {text}", file=sys.stderr, flush=True)

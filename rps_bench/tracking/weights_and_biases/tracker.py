"""Weights & Biases, on the side of the run: messages to a worker, and silence after an error.

Only the worker process imports wandb.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rps_bench.core import checks
from rps_bench.core.errors import UserError, explain
from rps_bench.core.shown import show
from rps_bench.records.schema import Record
from rps_bench.tracking.base import RunDescription, Tracker
from rps_bench.tracking.weights_and_biases.describe import (
    INTERRUPTED,
    LONGEST_NAME,
    epoch_values,
    final_values,
    flat_settings,
    group_name,
    provenance_settings,
    run_name,
    unfinished_values,
)
from rps_bench.tracking.weights_and_biases.environment import VARIABLES, read_wishes, tell_not_taken
from rps_bench.tracking.weights_and_biases.journal import Journal, open_journal
from rps_bench.tracking.weights_and_biases.session import CONNECT_SECONDS, FOLDER, sync_command
from rps_bench.tracking.weights_and_biases.worker_process import WorkerError, WorkerProcess

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult

DEFAULT_PROJECT = "rps_bench"
MODES = ("online", "offline")
LONGEST_TAG = 64
NOT_IN_PROJECTS = "/\\#?%:"


class WandbTracker(Tracker):
    """One run on W&B. Options that are None are taken from the user's W&B variables.

    Args:
        project: W&B project; by default rps_bench.
        entity: User or team; by default that of the login.
        mode: online or offline; by default online when logged in, else offline.
        group: Name of the sweep; by default dataset-arch-recipe, and the split unless it is test.
        tags: Tags of the run.
        dir: Where wandb makes its folder ``wandb``; by default the results folder.

    Raises:
        UserError: W&B does not accept a value.
    """

    def __init__(
        self,
        project: str | None = None,
        entity: str | None = None,
        mode: str | None = None,
        group: str | None = None,
        tags: tuple[str, ...] | list[str] | None = None,
        dir: str | None = None,
    ) -> None:
        wishes = read_wishes(os.environ)
        given = _either("project", project, wishes.project) or ("", DEFAULT_PROJECT)
        self.project = check_project(given[1], given[0])
        self.entity = _checked(checks.text, _either("entity", entity, wishes.entity))
        self.mode = wishes.mode if mode is None else checks.choice("tracking.mode", mode, MODES)
        self.group = _checked(_name, _either("group", group, wishes.group))
        self.tags = _tags(*(_either("tags", tags, wishes.tags) or ("", ())))
        self.dir = _checked(checks.path, _either("dir", dir, wishes.dir))
        self.job_type = _checked(_name, _either("job_type", None, wishes.job_type))
        self.name = _checked(_name, _either("name", None, wishes.name))
        self.notes, self.sweep = wishes.notes, wishes.sweep
        self._run: RunDescription | None = None
        self._journal: Journal | None = None
        self._worker: WorkerProcess | None = None

    def start(self, run: RunDescription) -> None:
        """Start the worker and pass it the run, which it opens while this process prepares."""
        self._run = run
        plan = self._plan(run)
        if self.mode == "disabled":
            return
        tell_not_taken(os.environ)
        identity = self.sweep.get("WANDB_RUN_ID", run.run_id)
        try:
            self._journal = open_journal(Path(self.dir or run.results_dir) / FOLDER, identity)
        except OSError as error:
            self._give_up(explain(error))
            return
        self._append({"kind": "start", "run": plan})
        if self._journal is None:
            return
        try:
            self._worker = WorkerProcess(self._journal)
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

    def _plan(self, run: RunDescription) -> dict[str, Any]:
        """The settings with which the worker opens the run."""
        return {
            "run_id": run.run_id,
            "results_dir": run.results_dir,
            "dir": self.dir,
            "mode": self.mode,
            "project": self.project,
            "entity": self.entity,
            "group": self.group or group_name(run.config),
            "job_type": self.job_type or run.config["method"],
            "name": self.name or run_name(run.config),
            "notes": self.notes,
            "sweep": dict(self.sweep),
            "tags": list(self.tags),
            "config": flat_settings(run),
            "connect_seconds": CONNECT_SECONDS,
            "on_end": unfinished_values(run, INTERRUPTED, None),
        }

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
        text = f"{reason}; training goes on without W&B, the record is complete without it"
        if self._journal is not None and self._run is not None:
            text += f"; its epochs wait for: {sync_command(self.dir or self._run.results_dir)}"
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
        print(f"rps_bench: W&B: {run_id}: {text}", file=sys.stderr, flush=True)


def check_project(name: object, key: str = "tracking.project") -> str:
    """The name, if W&B accepts it as a project.

    Raises:
        UserError: W&B does not accept it; the message calls it ``key``.
    """
    text = _name(key, name)
    if set(text) & set(NOT_IN_PROJECTS):
        raise UserError(f"{key} must have none of {NOT_IN_PROJECTS}, got {show(text)}")
    return text


def _either(option: str, value: object, variable: object) -> tuple[str, object] | None:
    """Where a value comes from, for messages, and the value: the option's or the variable's."""
    if value is not None:
        return f"tracking.{option}", value
    return (VARIABLES[option], variable) if variable else None


def _checked(check: Callable[[str, object], str], given: tuple[str, object] | None) -> str | None:
    return None if given is None else check(*given)


def _name(key: str, value: object, longest: int = LONGEST_NAME) -> str:
    text = checks.text(key, value)
    if len(text) > longest:
        raise UserError(f"{key} must have at most {longest} characters, got {len(text)}")
    return text


def _tags(key: str, tags: object) -> tuple[str, ...]:
    if not isinstance(tags, list | tuple):
        raise UserError(f"{key} must be a list such as [a,b], got {show(tags)}")
    return tuple(_name(key, tag, LONGEST_TAG) for tag in tags)

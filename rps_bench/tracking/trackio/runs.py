"""Runs in the file of a trackio project. Imports trackio only when called.

Rows are written by trackio's storage, not by its `Run`: that hands them to a thread, which warns of
what it cannot write and drops it, and it knows a run to resume by its name alone. Here a row that
cannot be written is an error, and a row has an id, under which trackio stores it once.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rps_bench.core.errors import UserError
from rps_bench.core.shown import show
from rps_bench.runtime.locks import hold, make_lock
from rps_bench.tracking.describe import name_text
from rps_bench.tracking.service import Service

FOLDER = "trackio"
SERVICE = Service("trackio", FOLDER, "rps_bench.tracking.trackio.worker")
DEFAULT_PROJECT = "rps_bench"
RUNNING = "running"
FINISHED = ("completed", "diverged")
FINAL = "final/"  # the part of the dashboard with a bar for each run
# trackio makes files of these names for its own purposes.
_RESERVED_START = "registry-"
_RESERVED_ENDS = (
    "_system", "_configs", "_traces", "_artifacts", "_artifact_versions", "_artifact_aliases",
    "_run_artifact_links", "_external_run_artifact_links",
)  # fmt: skip


@dataclass(frozen=True)
class RunToWrite:
    """A run to write.

    Attributes:
        run_id: Id of the run, by which it resumes.
        results_dir: The results folder.
        project: trackio project, a file of its own.
        name: Displayed name of the run.
        group: Name of the sweep.
        config: Flat settings.
        opening: An id of the command that opens the run.
    """

    run_id: str
    results_dir: str
    project: str
    name: str
    group: str
    config: Mapping[str, Any]
    opening: str

    @property
    def folder(self) -> Path:
        """The folder that holds trackio's files."""
        return Path(self.results_dir).absolute() / FOLDER


def check_project(name: object, key: str = "tracking.project") -> str:
    """The name, if it is that of one trackio project, and of no other file of trackio.

    Raises:
        UserError: It is not; the message calls it ``key``.
    """
    text = name_text(key, name)
    # trackio drops other characters, and so takes a.b and ab for one project.
    if not all(c.isascii() and (c.isalnum() or c in "-_") for c in text):
        raise UserError(f"{key} must consist of letters, digits, - and _, got {show(text)}")
    if text.startswith(_RESERVED_START) or text.endswith(_RESERVED_ENDS):
        ends = ", ".join(_RESERVED_ENDS)
        raise UserError(
            f"{key} must not begin with {_RESERVED_START} or end with one of {ends}, "
            f"got {show(text)}"
        )
    return text


class WrittenRun:
    """A run in its project's file, begun or resumed on creation.

    Args:
        run: The run.

    Raises:
        OSError, sqlite3.Error: The file cannot be written.
    """

    def __init__(self, run: RunToWrite) -> None:
        self.run = run
        _suit_disk()
        before = self._read_config()
        if before.get("status") in FINISHED and before.get("_Opening") != run.opening:
            self._delete()  # trained again from the start: its record was deleted
            before = {}
        self.last_epoch = self._read_last_epoch()
        self._settings = {
            **run.config,
            "_Group": run.group,
            "_Created": before.get("_Created") or datetime.now(UTC).isoformat(),
            "_Username": None,
            "_Opening": run.opening,
        }
        # A run without a row is not shown. This one has no numbers, and so no point on a curve.
        self._write("start", 0, {}, {"status": RUNNING})

    def log(self, values: Mapping[str, Any]) -> None:
        """Write the numbers of an epoch, unless they are there already."""
        self.last_epoch = max(self.last_epoch, values["epoch"])
        self._write(f"epoch-{values['epoch']}", values["epoch"], values, {"status": RUNNING})

    def end(self, summary: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Write status and final numbers, beside the settings and as bars."""
        if summary["status"] in FINISHED:
            numbers = {
                f"{FINAL}{key}": value
                for key, value in summary.items()
                if isinstance(value, int | float) and not isinstance(value, bool)
            }
            self._write("end", self.last_epoch, numbers, {**config, **summary})
        else:
            self._write("start", 0, {}, {**config, **summary})

    def _write(
        self, row: str, step: int, values: Mapping[str, Any], more: Mapping[str, Any]
    ) -> None:
        """Write one row, and the settings with ``more`` of them."""
        from trackio.sqlite_storage import SQLiteStorage

        with self._alone():
            SQLiteStorage.bulk_log(
                project=self.run.project,
                run=self.run.name,
                run_id=self.run.run_id,
                metrics_list=[dict(values)],
                steps=[step],
                log_ids=[f"{self.run.run_id}/{row}"],
                config={**self._settings, **more},
            )

    def _read_config(self) -> dict[str, Any]:
        from trackio.sqlite_storage import SQLiteStorage

        run = self.run
        with self._alone():
            return SQLiteStorage.get_run_config(run.project, run.name, run_id=run.run_id) or {}

    def _read_last_epoch(self) -> int:
        from trackio.sqlite_storage import SQLiteStorage

        run = self.run
        with self._alone():
            last = SQLiteStorage.get_max_step_for_run(run.project, run.name, run_id=run.run_id)
        return last or 0

    def _delete(self) -> None:
        from trackio.sqlite_storage import SQLiteStorage

        run = self.run
        with self._alone():
            if not SQLiteStorage.delete_run(run.project, run.name, run_id=run.run_id):
                raise OSError(f"the earlier run {run.run_id} cannot be replaced")

    def _alone(self) -> AbstractContextManager[None]:
        """Our turn among all writers; trackio itself gives up after waiting for some seconds."""
        return hold(make_lock(self.run.folder / "writers.lock"))


def _suit_disk() -> None:
    """SQLite's write-ahead log needs memory shared by all writers, which a network disk has not."""
    from trackio import utils

    if utils.is_network_filesystem(utils.TRACKIO_DIR):
        os.environ.setdefault("TRACKIO_SQLITE_JOURNAL_MODE", "delete")

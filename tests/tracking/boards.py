"""What each tracker shows of its runs, read from the files that its package wrote."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rps_bench.tracking import TRACKERS
from tests.tracking.conftest import WandbFolder


@dataclass
class Shown:
    """A run as a dashboard shows it; all its parts together if its package writes several."""

    name: str
    group: str
    status: str
    settings: dict[str, Any]
    numbers: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def epochs(self) -> list[int]:
        return [row["epoch"] for row in self.rows]


def read_nothing(results_dir: Path) -> dict[str, Shown]:
    """Runs that are shown nowhere."""
    return {}


def read_wandb(results_dir: Path) -> dict[str, Shown]:
    """The offline runs by the id of their record."""
    folder = WandbFolder(results_dir)
    runs: dict[str, Shown] = {}
    for path in folder.runs():
        summary = folder.summary(path)
        (opened,) = folder.messages(path, "run")
        numbers = summary["summary"]
        rows = runs[summary["run_id"]].rows if summary["run_id"] in runs else []
        runs[summary["run_id"]] = Shown(
            name=summary["name"],
            group=opened["run_group"],
            status=numbers["status"],
            settings=summary["config"],
            numbers=numbers,
            rows=rows + folder.history(path),
        )
    return {shown.settings["run_id"]: shown for shown in runs.values()}


def read_trackio(results_dir: Path) -> dict[str, Shown]:
    """The runs of all projects by their id, read by SQL."""
    runs: dict[str, Shown] = {}
    for path in sorted((results_dir / "trackio").glob("*.db")):
        with closing(sqlite3.connect(path)) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            tables = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
            if not tables:  # made, and nothing written yet
                continue
            for run_id, name, text in file.execute("SELECT run_id, run_name, config FROM configs"):
                config = json.loads(text)
                runs[run_id] = Shown(name, config["_Group"], config["status"], config, config)
            query = "SELECT run_id, step, metrics FROM metrics ORDER BY id"
            for run_id, step, text in file.execute(query):
                row = json.loads(text)
                if "epoch" in row:
                    assert row["epoch"] == step
                    runs[run_id].rows.append(row)
    return runs


READERS: dict[str, Callable[[Path], dict[str, Shown]]] = {
    "none": read_nothing,
    "wandb": read_wandb,
    "trackio": read_trackio,
}
FILES = {"wandb": "offline-*/run-*.wandb", "trackio": "*.db"}  # of runs that have begun


@dataclass(frozen=True)
class Board:
    """A tracker, and the folder that its runs are written to."""

    tracker: str
    results_dir: Path

    @property
    def title(self) -> str | None:
        """What messages call the dashboard; None if there is none."""
        service = TRACKERS[self.tracker].service
        return None if service is None else service.title

    @property
    def folder(self) -> Path | None:
        """Where the package's files are."""
        service = TRACKERS[self.tracker].service
        return None if service is None else self.results_dir / service.folder

    def has_begun(self) -> bool:
        """Whether the package has begun to write, if there is one."""
        return self.folder is None or any(self.folder.glob(FILES[self.tracker]))

    def read(self) -> dict[str, Shown]:
        return READERS[self.tracker](self.results_dir)

    def find(self, method: str) -> list[Shown]:
        """The runs of a method: none if the tracker shows none."""
        found = [shown for shown in self.read().values() if shown.settings["method"] == method]
        assert len(found) == (self.title is not None)
        return found

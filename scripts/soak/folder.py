"""A results folder of a sweep: the processes that work there, and their results."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rps_bench.__main__ import main as train
from rps_bench.datasets.folders import DATA_VARIABLE
from rps_bench.records import read_records
from scripts.soak.child import Child
from scripts.soak.starts import start_fork, start_fresh

UNLIKE = {"provenance", "train_seconds", "total_train_seconds", "images_per_second"} | {
    "peak_memory_bytes"
}


class Folder:
    """A new folder and its processes.

    Args:
        path: Absolute path of the folder.
        data: Folder of the images.
    """

    def __init__(self, path: Path, data: Path) -> None:
        self.path, self.data, self.children = path, data, list[Child]()
        self.seen: dict[Path, bytes] = {}
        path.mkdir(parents=True)

    def start(
        self,
        words: Sequence[str],
        call: Callable[[], Any] = train,
        is_fresh: bool = False,
        deadly: int | None = None,
    ) -> Child:
        """Start a process, forked or fresh; a fork may kill itself at its n-th write."""
        log = self.path / f"{len(self.children)}.log"
        environment = os.environ | {"XDG_CACHE_HOME": str(self.path / "cache")}
        environment[DATA_VARIABLE] = str(self.data)
        if is_fresh:
            pid = start_fresh(words, log, environment)
        else:
            pid = start_fork(call, words, log, environment, deadly)
        self.children.append(Child(pid, log, is_deadly=deadly is not None))
        return self.children[-1]

    def num_redone(self) -> int:
        """The number of epochs that were finished more than once, according to the output."""
        epochs = Counter(epoch for child in self.children for epoch in child.epochs())
        return epochs.total() - len(epochs)

    def recordings(self) -> Counter[str]:
        """How often each run was recorded, according to the output."""
        return Counter(run_id for child in self.children for run_id in child.recordings())

    def records(self) -> tuple[dict[str, Any], list[str]]:
        """The records by run without values that always differ, and the problems with files."""
        records, problems = read_records(self.path / "results")
        wrong = [f"{problem.path}: {problem.reason}" for problem in problems]
        return {record["run_id"]: _same_part(record) for record in records}, wrong

    def models(self) -> dict[str, bytes]:
        """The compressed files by run."""
        paths = (self.path / "results" / "models").rglob("*.safetensors")
        return {path.stem: path.read_bytes() for path in paths}

    def find_changed_records(self) -> list[str]:
        """Descriptions of records that have changed since the last call."""
        paths = (self.path / "results" / "records").rglob("*.json")
        now = {path: path.read_bytes() for path in paths}
        changed = [f"{path} was written again" for path, b in self.seen.items() if now[path] != b]
        self.seen = now
        return changed


def _same_part(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _same_part(child) for key, child in value.items() if key not in UNLIKE}
    return [_same_part(child) for child in value] if isinstance(value, list) else value

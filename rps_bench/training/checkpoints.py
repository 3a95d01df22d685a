"""The files that unfinished work leaves, so that a killed run goes on and levels are shared.

`results_dir/checkpoints/<name>/` holds one run, or one chain of levels that several compressions
share:

    rewind.safetensors          state at iteration k of the first level
    level-03-13869.partial...   state of a level in training, after an epoch or amid one
    level-03-13869.safetensors  a finished shared level's compressed model
    level-03-13869.json         what its training gave: the level is finished
    level-03-13869.lock         held while a process trains the level
    run-<run_id>.lock           held while a process is at the run; left by one that was killed

Nothing is unpickled.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from torch import nn

from rps_bench.atomic import TEMPORARY_SUFFIX, write_bytes, write_text
from rps_bench.locks import CHECKPOINTS_FOLDER, find_runs_in_use, gate, is_held, run_lock, take
from rps_bench.methods import load_compressed
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.levels import Level
from rps_bench.training.state import Outcome, TrainingState, state_from_bytes, state_to_bytes

Content = TypeVar("Content")
Say = Callable[[str], None]


class Checkpoints:
    """The checkpoint files of one run, or of one chain of levels.

    Args:
        results_dir: Where records go.
        name: Of the folder; the same for runs that share levels, different for all others.
        say: Takes one line for the user, when a file cannot be used.
    """

    def __init__(self, results_dir: str | Path, name: str, say: Say) -> None:
        self.root = Path(results_dir) / CHECKPOINTS_FOLDER
        self.folder, self.say = self.root / name, say

    @contextmanager
    def in_use(self, run_id: str) -> Iterator[None]:
        """Keep other processes from the same run, and the folder from being deleted.

        Raises:
            InUseError: Another process is at the same run.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with gate(self.root):  # no folder is deleted between making it and taking its lock
            self.folder.mkdir(exist_ok=True)
            lock = run_lock(self.folder, run_id)
            take(lock, run_id)
        has_ended = False
        try:
            yield
            has_ended = True
        finally:
            with gate(self.root):
                if has_ended:  # else the file tells that the run was begun
                    _remove(Path(lock.lock_file))
                lock.release()
                self._remove_if_bare()

    @contextmanager
    def at_work_on(self, level: Level) -> Iterator[None]:
        """Keep other processes from training the same level.

        Raises:
            InUseError: Another process trains it.
        """
        if not level.is_shared:  # the run's own lock is enough
            yield
            return
        lock = FileLock(self._path(level, ".lock"))
        take(lock, f"level {level.number} of {self.folder.name}")
        try:
            yield
        finally:
            lock.release()

    def finished(self, level: Level) -> Outcome | None:
        """What a finished level gave, None if it is not finished."""
        return self._read(
            self._path(level, ".json"), lambda path: Outcome.from_description(_json(path))
        )

    def finish(self, level: Level, model: CompressedModel, outcome: Outcome) -> None:
        """Keep a finished level in place of its partial state."""
        model.save(self._path(level, ".safetensors"))
        write_text(self._path(level, ".json"), json.dumps(outcome.describe()))
        self.discard_partial(level)

    def model(self, level: Level, dense: nn.Module) -> CompressedModel | None:
        """A finished level's model, None if it is not there. ``dense``: a network of its kind."""
        path = self._path(level, ".safetensors")
        return self._read(path, lambda path: load_compressed(path, dense))

    def partial(self, level: Level) -> TrainingState | None:
        """The state of an unfinished level, None if there is none."""
        path = self._path(level, ".partial.safetensors")
        return self._read(path, lambda path: state_from_bytes(path.read_bytes()))

    def keep_partial(self, level: Level, state: TrainingState) -> None:
        """Keep the state of an unfinished level, in place of an older one."""
        write_bytes(self._path(level, ".partial.safetensors"), state_to_bytes(state))

    def rewind_state(self) -> TrainingState | None:
        """The state at iteration k, None if there is none."""
        return self._read(self._rewind_path, lambda path: state_from_bytes(path.read_bytes()))

    def keep_rewind_state(self, state: TrainingState) -> None:
        """Keep the state at iteration k."""
        write_bytes(self._rewind_path, state_to_bytes(state))

    def discard_partial(self, level: Level) -> None:
        """Delete the state of a level that is finished."""
        _remove(self._path(level, ".partial.safetensors"))

    def count_bytes(self) -> int:
        """Bytes of the folder's files; one that another process deletes meanwhile counts as 0."""
        return sum(_count_bytes(path) for path in self.folder.iterdir())

    def discard_all(self) -> bool:
        """Delete the folder unless a process uses it; returns whether it is gone."""
        if not self.root.is_dir():
            return True
        with gate(self.root):
            if find_runs_in_use(self.folder):
                return False
            shutil.rmtree(self.folder, ignore_errors=True)
            return not self.folder.exists()

    @property
    def _rewind_path(self) -> Path:
        return self.folder / "rewind.safetensors"

    def _path(self, level: Level, suffix: str) -> Path:
        return self.folder / f"level-{level.number:02d}-{level.num_kept}{suffix}"

    def _remove_if_bare(self) -> None:
        """Delete the folder if it holds nothing but free locks and what killed writes left."""
        paths = [path for path in self.folder.iterdir() if path.suffix != TEMPORARY_SUFFIX]
        if all(path.suffix == ".lock" and not is_held(FileLock(path)) for path in paths):
            shutil.rmtree(self.folder)

    def _read(self, path: Path, read: Callable[[Path], Content]) -> Content | None:
        """What a file holds; a file that cannot be used counts as missing, with a line."""
        if not path.is_file():
            return None
        try:
            return read(path)
        except (ValueError, LookupError, TypeError, OSError) as error:
            self.say(f"{path} cannot be used and is made again ({error})")
            return None


def _json(path: Path) -> dict[str, object]:
    values = json.loads(path.read_text())
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    return values


def _count_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)

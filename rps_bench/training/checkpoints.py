"""The files that unfinished work leaves, so that a killed run goes on and levels are shared.

`results_dir/checkpoints/<name>/` holds one run, or one chain of levels that several compressions
share:

    rewind.safetensors          state at iteration k of the first level
    level-03-13869.partial...   state of a level in training, after an epoch or amid one
    level-03-13869.safetensors  a finished shared level's compressed model
    level-03-13869.json         what its training gave: the level is finished
    level-03-13869.lock         held while a process trains the level
    run-<run_id>.lock           held while a process is at the run; left by one that was killed

The first level of methods that go on from trained weights is the ordinary training of the dense
network. It lies in a folder that these methods share.

Nothing is unpickled.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from torch import nn

from rps_bench.core.atomic import TEMPORARY_SUFFIX, write_bytes, write_text
from rps_bench.core.errors import explain, one_line
from rps_bench.core.permissions import make_folder
from rps_bench.methods import load_compressed
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.levels import Level
from rps_bench.runtime.locks import (
    CHECKPOINTS_FOLDER,
    find_runs_in_use,
    gate,
    hold,
    is_held,
    make_lock,
    run_lock,
    take,
)
from rps_bench.training.state import (
    Outcome,
    TrainingState,
    read_state,
    read_step,
    state_to_bytes,
)

LARGEST_OUTCOME_BYTES = 1 << 25  # as of a record: a hundred thousand epochs take about 20 MB

Content = TypeVar("Content")
Say = Callable[[str], None]
Require = Callable[[TrainingState], None]  # raises a ValueError for a state that does not fit


class Checkpoints:
    """The checkpoint files of one run, or of one chain of levels.

    Args:
        results_dir: Where records go.
        name: Of the folder; the same for runs that share levels, different for all others.
        say: Takes one line for the user, when a file cannot be used.
        dense: Of the folder where the first level lies instead, if other methods share it.
    """

    def __init__(
        self, results_dir: str | Path, name: str, say: Say, dense: str | None = None
    ) -> None:
        self.root = Path(results_dir) / CHECKPOINTS_FOLDER
        self.folder, self.say = self.root / name, say
        self._dense = None if dense is None else Checkpoints(results_dir, dense, say)
        self._own_levels: list[Level] = []

    @contextmanager
    def in_use(self, run_id: str) -> Iterator[None]:
        """Keep other processes from the same run, and the folders from being deleted.

        Raises:
            InUseError: Another process is at the same run.
        """
        elsewhere = nullcontext() if self._dense is None else self._dense.in_use(run_id)
        with elsewhere, self._folder_in_use(run_id):
            yield

    @contextmanager
    def _folder_in_use(self, run_id: str) -> Iterator[None]:
        """As ``in_use``, of the own folder."""
        make_folder(self.root)
        with hold(gate(self.root)):  # no folder is deleted between making it and taking its lock
            make_folder(self.folder)
            lock = run_lock(self.folder, run_id)
            take(lock, run_id)
        has_ended = False
        try:
            yield
            has_ended = True
        finally:
            # What stays behind on a disk that is full or gone does no harm.
            with suppress(OSError), hold(gate(self.root)):
                if has_ended:  # else the file tells that the run was begun
                    _remove(Path(lock.lock_file))
                lock.release()
                self._remove_if_bare()
            lock.release()

    @contextmanager
    def at_work_on(self, level: Level) -> Iterator[None]:
        """Keep other processes from training the same level.

        Raises:
            InUseError: Another process trains it.
        """
        if not level.is_shared:  # the run's own lock is enough
            self._own_levels.append(level)
            yield
            return
        lock = make_lock(self._path(level, ".lock"))
        take(lock, f"level {level.number} of {self.folder.name}")
        try:
            yield
        finally:
            lock.release()

    def finished(self, level: Level) -> Outcome | None:
        """What a finished level gave, None if it is not finished."""
        return self._read(self._path(level, ".json"), _read_outcome)

    def finish(self, level: Level, model: CompressedModel, outcome: Outcome) -> None:
        """Keep a finished level in place of its partial state."""
        model.save(self._path(level, ".safetensors"))
        write_text(self._path(level, ".json"), json.dumps(outcome.describe()))
        self.discard_partial(level)

    def list_finished(self) -> set[Level]:
        """The finished levels whose model is at hand, told from the names of their files."""
        levels = set() if self._dense is None else self._dense.list_finished()
        for path in self.folder.glob("level-*.json"):
            found = re.fullmatch(r"level-(\d+)-(\d+)", path.stem)
            if found is not None and path.with_suffix(".safetensors").is_file():
                levels.add(Level(int(found[1]), int(found[2]), is_shared=True))
        return levels

    def model(self, level: Level, dense: nn.Module) -> CompressedModel | None:
        """A finished level's model, None if it is not there. ``dense``: a network of its kind."""

        def read(path: Path) -> CompressedModel:
            model = load_compressed(path, dense)
            if model.stored.numel() != level.num_kept:
                raise ValueError(f"it holds {model.stored.numel()} stored values")
            return model

        return self._read(self._path(level, ".safetensors"), read)

    def partial(self, level: Level, require: Require | None = None) -> TrainingState | None:
        """The state of an unfinished level, None if there is none."""
        return self._read_state(self._path(level, ".partial.safetensors"), require)

    def count_steps(self, level: Level) -> int:
        """Steps that are behind the state of an unfinished level, 0 if there is none."""
        return self._read(self._path(level, ".partial.safetensors"), read_step) or 0

    def keep_partial(self, level: Level, state: TrainingState) -> None:
        """Keep the state of an unfinished level, in place of an older one."""
        write_bytes(self._path(level, ".partial.safetensors"), state_to_bytes(state))

    def rewind_state(self, require: Require | None = None) -> TrainingState | None:
        """The state at iteration k, None if there is none."""
        return self._read_state(self._rewind_path, require)

    def keep_rewind_state(self, state: TrainingState) -> None:
        """Keep the state at iteration k."""
        write_bytes(self._rewind_path, state_to_bytes(state))

    def discard_partial(self, level: Level) -> None:
        """Delete the state of a level that is finished."""
        _remove(self._path(level, ".partial.safetensors"))

    def discard_own_partials(self) -> None:
        """Delete the states of the levels that are this run's alone, once it is recorded."""
        for level in self._own_levels:
            self.discard_partial(level)

    @property
    def folders(self) -> list[Path]:
        """Where the files lie."""
        return [self.folder] if self._dense is None else [self.folder, self._dense.folder]

    def count_bytes(self) -> int:
        """Bytes of the folders' files; one that another process deletes meanwhile counts as 0."""
        elsewhere = 0 if self._dense is None else self._dense.count_bytes()
        return elsewhere + sum(_count_bytes(path) for path in self.folder.glob("*"))

    def discard_all(self) -> bool:
        """Delete the folder unless a process uses it; return whether it is gone, else say why."""
        if not self.root.is_dir():
            return True
        with hold(gate(self.root)):
            if find_runs_in_use(self.folder):
                self.say(f"kept, as another process uses it: {self.folder}")
                return False
            try:
                shutil.rmtree(self.folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                self.say(f"kept, as it cannot be deleted: {explain(error)}")
            return not self.folder.exists()

    @property
    def _rewind_path(self) -> Path:
        return self.folder / "rewind.safetensors"

    def _path(self, level: Level, suffix: str) -> Path:
        if level.number == 0 and self._dense is not None:
            return self._dense._path(level, suffix)
        return self.folder / f"level-{level.number:02d}-{level.num_kept}{suffix}"

    def _remove_if_bare(self) -> None:
        """Delete the folder if it holds nothing but free locks and what killed writes left."""
        paths = [path for path in self.folder.iterdir() if path.suffix != TEMPORARY_SUFFIX]
        if all(path.suffix == ".lock" and not is_held(make_lock(path)) for path in paths):
            shutil.rmtree(self.folder)

    def _read_state(self, path: Path, require: Require | None) -> TrainingState | None:
        def read(path: Path) -> TrainingState:
            state = read_state(path)
            if require is not None:
                require(state)
            return state

        return self._read(path, read)

    def _read(self, path: Path, read: Callable[[Path], Content]) -> Content | None:
        """What a file holds; a file that cannot be used counts as missing, with a line."""
        if not path.is_file():
            return None
        try:
            return read(path)
        except (ValueError, LookupError, TypeError, OSError, RecursionError) as error:
            self.say(one_line(f"{path} cannot be used and is made again ({error})"))
            return None


def _read_outcome(path: Path) -> Outcome:
    """What a finished level gave."""
    if path.stat().st_size > LARGEST_OUTCOME_BYTES:
        raise ValueError(f"more than {LARGEST_OUTCOME_BYTES} bytes")
    values = json.loads(path.read_text())
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    outcome = Outcome.from_description(values)
    if not outcome.epochs and outcome.divergence is None:
        raise ValueError("it holds no epoch")
    return outcome


def _count_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)

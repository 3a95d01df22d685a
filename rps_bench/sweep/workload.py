"""How much training a command's runs have left: in epochs, each training that runs share once.

The levels of a chain are trained by the first run that needs them; the others start from the
deepest one that is there. A run that rounds another's model trains nothing itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rps_bench.config import RunConfig
from rps_bench.core.errors import UserError
from rps_bench.core.storages import EXACT
from rps_bench.datasets.imbalance import class_counts
from rps_bench.datasets.info import DATASETS
from rps_bench.engine.choose import list_names
from rps_bench.engine.names import PLAIN
from rps_bench.methods import METHODS
from rps_bench.methods.base import Method
from rps_bench.methods.levels import Level
from rps_bench.records.done import find_done
from rps_bench.records.schema import Record
from rps_bench.runtime.devices import resolve_device
from rps_bench.runtime.locks import CHECKPOINTS_FOLDER
from rps_bench.sweep.preflight import build_method_of, find_layout
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.precision import resolve_precision

Chain = tuple[str, str]  # a results folder, and what compressions of one chain have in common
Folder = tuple[Checkpoints, int]  # and the steps of an epoch on the images of its trainings


@dataclass(frozen=True)
class TrainingPlace:
    """Where a run that trains is, told from its checkpoints.

    Attributes:
        level: The level at hand, from 0.
        last_level: 0 for most methods.
        epoch: Epochs of the level's schedule that are behind it.
        num_epochs: Of the schedule.
    """

    level: int
    last_level: int
    epoch: float
    num_epochs: int


class Workload:
    """Walks through runs in the order in which they are done, and remembers what is trained then.

    A training that was begun counts with what its last state has left.

    Args:
        records: Those at hand: they tell of datasets that are not whole.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._trained: set[tuple[str, str]] = set()  # results folder and run id
        self._levels: dict[Chain, set[Level]] = {}
        self._names: dict[str, set[str]] = {}  # of the folders of unfinished work

    def add(self, config: RunConfig) -> float:
        """Epochs that this run trains, partial ones as the share that they are.

        Raises:
            UserError: The run cannot be built.
        """
        if config.storage != EXACT:
            config = config.with_exact_storage
            if find_done(config) is not None:
                return 0.0
        place = config.files.results_dir, config.run_id
        if place in self._trained:
            return 0.0
        self._trained.add(place)
        method = build_method_of(config)
        folders = list(self._find_folders(config, method))
        chain = config.files.results_dir, config.run_id_without_compression
        of_dense = config.dense_chain(method.shares_dense_training)
        dense = config.files.results_dir, (of_dense or config).run_id_without_compression
        if chain not in self._levels:
            finished = _find_finished(folders, method)
            self._levels[chain] = {level for level in finished if level.number or dense == chain}
            self._levels.setdefault(dense, set()).update(finished - self._levels[chain])
        known = self._levels[chain] | self._levels[dense]
        new = [level for level in method.levels(find_layout(config, method)) if level not in known]
        for level in new:
            if level.is_shared:
                self._levels[chain if level.number else dense].add(level)
        start = _epochs_before_rewinding(config, method)
        return sum(
            config.recipe.epochs - max(_epochs_behind(folders, level), start if level.number else 0)
            for level in new
        )

    def find_place(self, config: RunConfig) -> TrainingPlace:
        """Where a run is; at its last level where all are trained.

        Raises:
            UserError: The run cannot be built.
        """
        if config.storage != EXACT:
            config = config.with_exact_storage
        method = build_method_of(config)
        folders = list(self._find_folders(config, method))
        finished = _find_finished(folders, method)
        levels = method.levels(find_layout(config, method))
        level = next((level for level in levels if level not in finished), levels[-1])
        behind = _epochs_behind(folders, level)
        if level in finished:
            behind = float(config.recipe.epochs)
        elif level.number:
            behind = max(behind, _epochs_before_rewinding(config, method))
        return TrainingPlace(level.number, levels[-1].number, behind, config.recipe.epochs)

    def _find_folders(self, config: RunConfig, method: Method) -> Iterator[Folder]:
        """The folders that a run's unfinished work may lie in, those that are there."""
        sizes = {count_images(config)}
        for record in self._records:
            described = record["config"]
            num_train = described.get("dataset_options", {}).get("num_train")
            if described["dataset"] == config.dataset and isinstance(num_train, int):
                sizes.add(num_train)
        results_dir = config.files.results_dir
        if not (existing := self._list_names(results_dir)):
            return
        of_dense = config.dense_chain(method.shares_dense_training)
        for size in sizes:
            for arithmetic in _list_arithmetics(config):
                name = config.checkpoint_name(method.shares_trainings, *arithmetic, size)
                dense = None
                if of_dense is not None:
                    dense = of_dense.checkpoint_name(True, *arithmetic, size)
                if existing & {name, dense}:
                    steps = config.recipe.steps_per_epoch(size)
                    yield Checkpoints(results_dir, name, _say_nothing, dense), steps

    def _list_names(self, results_dir: str) -> set[str]:
        if results_dir not in self._names:
            paths = (Path(results_dir) / CHECKPOINTS_FOLDER).glob("*")
            self._names[results_dir] = {path.name for path in paths}
        return self._names[results_dir]


def _find_finished(folders: Sequence[Folder], method: Method) -> set[Level]:
    """The shared levels that lie on disk, for this and other compressions."""
    if not method.shares_trainings:
        return set()
    return {level for folder, _ in folders for level in folder.list_finished()}


def _epochs_behind(folders: Sequence[Folder], level: Level) -> float:
    """Epochs of the schedule that are behind the last state of a level, 0 where none was kept."""
    return max((folder.count_steps(level) / steps for folder, steps in folders), default=0.0)


def _epochs_before_rewinding(config: RunConfig, method: Method) -> float:
    """Epochs of the schedule that every level but the first leaves out."""
    if method.rewinding is None:
        return 0.0
    num_steps = config.recipe.steps_per_epoch(count_images(config))
    return method.rewinding.resolve_step(num_steps * config.recipe.epochs) / num_steps


def _say_nothing(line: str) -> None:
    """A file that cannot be used counts as missing; the run itself will say so."""


def name_training(config: RunConfig) -> Chain:
    """The same for runs of which one can hardly go on while another is trained.

    Those are the compressions of one chain, and the roundings of one trained model.
    """
    trained = config if config.storage == EXACT else config.with_exact_storage
    is_chain = METHODS[config.method].shares_trainings
    name = trained.run_id_without_compression if is_chain else trained.run_id
    return config.files.results_dir, name


def count_steps(config: RunConfig) -> int:
    """Steps of each training of a run, where its dataset is whole."""
    return config.recipe.epochs * config.recipe.steps_per_epoch(count_images(config))


def count_images(config: RunConfig) -> int:
    """Training images of a run, where its dataset is whole."""
    info = DATASETS[config.dataset]
    num_held_out = config.validation_images if config.evaluation_split == "validation" else 0
    if config.imbalance is None:
        return info.num_train - num_held_out
    # What is held out is taken evenly from the classes.
    largest = info.num_train // info.num_classes - num_held_out // info.num_classes
    return sum(class_counts(largest, info.num_classes, config.imbalance))


def _list_arithmetics(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Precision and kernels as a run may resolve them; for another machine's device as on a GPU."""
    try:
        device = resolve_device(config.compute.device)
    except UserError:
        yield ("bf16" if config.precision == "auto" else config.precision), PLAIN
        return
    for kernels in list_names(config.engine, device):
        yield resolve_precision(config.precision, device), kernels

"""How much training a command's runs have left: in epochs, each training that runs share once.

The levels of a chain are trained by the first run that needs them; the others start from the
deepest one that is there. A run that rounds another's model trains nothing itself.
"""

from collections.abc import Iterator, Sequence

from rps_bench.config import RunConfig
from rps_bench.core.errors import UserError
from rps_bench.core.storages import EXACT
from rps_bench.datasets.imbalance import class_counts
from rps_bench.datasets.info import DATASETS
from rps_bench.engine.choose import list_names
from rps_bench.engine.names import PLAIN
from rps_bench.methods import METHODS, build_method
from rps_bench.methods.base import Method
from rps_bench.methods.levels import Level
from rps_bench.records.done import find_done
from rps_bench.records.schema import Record
from rps_bench.runtime.devices import resolve_device
from rps_bench.sweep.preflight import find_layout
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.precision import resolve_precision

Chain = tuple[str, str]  # a results folder, and what compressions of one chain have in common


class Workload:
    """Walks through runs in the order in which they are done, and remembers what is trained then.

    States amid a training, which a killed run goes on from, are not looked at: such a training
    counts whole.

    Args:
        records: Those at hand: they tell of datasets that are not whole.
    """

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._trained: set[tuple[str, str]] = set()  # results folder and run id
        self._levels: dict[Chain, set[Level]] = {}

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
        options = config.method_options
        method = build_method(config.method, config.compression, config.seed, **options)
        levels = method.levels(find_layout(config, method))
        chain = config.files.results_dir, config.run_id_without_compression
        is_shared = method.shares_dense_training and "method" not in config.plugins
        dense = (config.files.results_dir, config.run_id_of_dense) if is_shared else chain
        if chain not in self._levels:
            finished = self._find_finished(config, method)
            self._levels[chain] = {level for level in finished if level.number or dense == chain}
            self._levels.setdefault(dense, set()).update(finished - self._levels[chain])
        known = self._levels[chain] | self._levels[dense]
        new = [level for level in levels if level not in known]
        for level in new:
            if level.is_shared:
                self._levels[chain if level.number else dense].add(level)
        later = self._epochs_after_rewinding(config, method)
        return sum(later if level.number else float(config.recipe.epochs) for level in new)

    def _epochs_after_rewinding(self, config: RunConfig, method: Method) -> float:
        """Epochs of every level but the first."""
        num_steps = config.recipe.steps_per_epoch(count_images(config))
        if method.rewinding is None:
            return float(config.recipe.epochs)
        first_step = method.rewinding.resolve_step(num_steps * config.recipe.epochs)
        return config.recipe.epochs - first_step / num_steps

    def _find_finished(self, config: RunConfig, method: Method) -> set[Level]:
        """The shared levels that lie on disk, for this and other compressions."""
        if not method.shares_trainings:
            return set()
        sizes = {count_images(config)}
        for record in self._records:
            described = record["config"]
            num_train = described.get("dataset_options", {}).get("num_train")
            if described["dataset"] == config.dataset and isinstance(num_train, int):
                sizes.add(num_train)
        shares_dense = method.shares_dense_training
        places = {
            (
                config.checkpoint_name(True, *arithmetic, size),
                config.dense_checkpoint_name(*arithmetic, size) if shares_dense else None,
            )
            for arithmetic in _list_arithmetics(config)
            for size in sizes
        }
        return {
            level
            for name, dense in places
            for level in Checkpoints(config.files.results_dir, name, print, dense).list_finished()
        }


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
    if config.evaluation_split == "validation":
        return info.num_train - config.validation_images
    if config.imbalance is None:
        return info.num_train
    largest = info.num_train // info.num_classes
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

"""One run's settings as a frozen dataclass, and the run's identity.

Nothing behind this page sees a Hydra object. Imports no torch.
"""

import copyreg
import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rps_bench.core.origins import Origin
from rps_bench.core.storages import EXACT
from rps_bench.datasets.info import sized_name
from rps_bench.engine.names import PLAIN
from rps_bench.training.recipe import Recipe

FIXED, TUNED = "fixed", "tuned"
PROTOCOLS = (FIXED, TUNED)
CHOICES_FILE = "choices.json"
# Parts of the identity that a rate is not chosen for.
_NOT_OF_CELL = ("seed", "protocol", "validation_images")


def _read_only(table: dict[str, Any]) -> MappingProxyType[str, Any]:
    return MappingProxyType(table)


# So that a run can be handed to another process: Python pickles no read-only tables by itself.
copyreg.pickle(MappingProxyType, lambda table: (_read_only, (dict(table),)))


@dataclass(frozen=True)
class Compute:
    """Where a run computes, and beside what: nothing of it enters the run id.

    Attributes:
        device: auto, cpu, cuda or cuda:N.
        deterministic: Whether only algorithms that give the same bits every time may run.
        threads: Of each process, None for its share of the cores.
        processes: That share a sweep's runs on this machine, None for as many as it is good for.
        gpus: GPUs to divide runs over, empty: ``device`` alone says where.
        runs_per_gpu: Runs at once on each of ``gpus``.
        population: Runs at once in this process, None for as many as a GPU has memory for.
    """

    device: str
    deterministic: bool
    threads: int | None
    processes: int | None
    gpus: tuple[int, ...]
    runs_per_gpu: int
    population: int | None


@dataclass(frozen=True)
class Files:
    """What a run reads and what it leaves behind: nothing of it enters the run id.

    Attributes:
        data_root: Folder of the image files, None for the user's cache folder.
        results_dir: Where the record goes.
        keep_model: Whether the compressed file stays beside the record.
        keep_checkpoints: Whether levels that other compressions may share outlive the command.
        checkpoint_seconds: Between states kept amid an epoch, None: after epochs only.
        tracking: Name and options of the tracker, which shows the run on a dashboard.
    """

    data_root: str | None
    results_dir: str
    keep_model: bool
    keep_checkpoints: bool
    checkpoint_seconds: float | None
    tracking: Mapping[str, Any]


@dataclass(frozen=True)
class Search:
    """How learning rates are searched for, by ``rps_bench.tune``: nothing of it enters the run id.

    Attributes:
        trials: Trainings of each cell.
        seed: Of these, None for the first that is listed.
        choices: The file of what was chosen, None for ``choices.json`` in the results folder.
        over: Other settings of the recipe that are chosen with the rate, with the values to try.
    """

    trials: int
    seed: int | None
    choices: str | None
    over: tuple[tuple[str, tuple[bool | float, ...]], ...] = ()

    @property
    def combinations(self) -> tuple[dict[str, bool | float], ...]:
        """Every combination of the other settings; one without any where there are none."""
        names = [name for name, _ in self.over]
        values = itertools.product(*(own for _, own in self.over))
        return tuple(dict(zip(names, own, strict=True)) for own in values)


@dataclass(frozen=True)
class RunConfig:
    """Everything that one run depends on.

    Its own fields say what is trained and evaluated, and so identify the run. ``compute``,
    ``files`` and ``search`` say how that is done here: runs that differ in nothing else are the
    same run.

    Attributes:
        dataset: A name of ``DATASETS``.
        arch: An architecture's name.
        method: A method's name.
        recipe: The training recipe.
        compression: Requested n / m, >= 1.
        seed: Of everything random, >= 0.
        width: Channels of the first convolution, None for the architecture's own.
        method_options: Options of the method, all of them.
        changed_options: Those of them that differ from the method's yaml.
        validation_images: Held out of train when ``evaluation_split`` is validation.
        evaluation_split: test or validation.
        imbalance: Training images of the largest class over those of the smallest, None for all.
        image_size: Height and width that images are averaged down to, None for their own.
        precision: auto, fp32 or bf16.
        engine: The kernels of training steps that are asked for: plain, products, native or auto.
        storage: How theta is rounded before it is evaluated; exact is not at all.
        plugins: Where the method, arch or dataset comes from, of those that are a plugin's.
        tuning: How the recipe's learning rate was chosen on validation images; None: it is as
            given. The run id says that it was.
        compute: Where the run computes; no part of its identity.
        files: What it reads and leaves behind; no part of its identity.
        search: How rates are searched for; no part of its identity.
    """

    dataset: str
    arch: str
    method: str
    recipe: Recipe
    compression: float
    seed: int
    width: int | None
    method_options: Mapping[str, Any]
    changed_options: Mapping[str, Any]
    validation_images: int
    evaluation_split: str
    imbalance: float | None
    image_size: int | None
    precision: str
    engine: str
    storage: str
    plugins: Mapping[str, Origin]
    tuning: Mapping[str, Any] | None
    compute: Compute
    files: Files
    search: Search

    @property
    def label(self) -> str:
        """The curve's name: the method, and its options where they are not the default."""
        options = dict(self.changed_options)
        if self.storage != EXACT:
            options["storage"] = self.storage
        changed = ", ".join(f"{key}={value}" for key, value in options.items())
        return f"{self.method} ({changed})" if changed else self.method

    @property
    def identity(self) -> dict[str, Any]:
        """What the result depends on, without what equals its default.

        An option added later with a default that changes nothing leaves old identities true.
        """
        identity: dict[str, Any] = {
            "dataset": self.dataset,
            "arch": self.arch,
            "method": self.method,
            "compression": self.compression,
            "seed": self.seed,
            "recipe": _without_defaults(self.recipe),
        }
        if self.changed_options:
            identity["method_options"] = dict(self.changed_options)
        if self.width is not None:
            identity["width"] = self.width
        if self.evaluation_split != "test":
            identity["validation_images"] = self.validation_images
        if self.imbalance is not None:
            identity["imbalance"] = self.imbalance
        if self.image_size is not None:
            identity["image_size"] = self.image_size
        if self.storage != EXACT:
            identity["storage"] = self.storage
        if self.precision != "auto":
            identity["precision"] = self.precision
        if self.engine != PLAIN:
            identity["engine"] = self.engine
        if self.plugins:
            identity["plugins"] = {key: origin.identity for key, origin in self.plugins.items()}
        if self.protocol != FIXED:
            identity["protocol"] = self.protocol
        return identity

    @property
    def protocol(self) -> str:
        """Whose learning rate the run has: the recipe's, or the one chosen for its cell."""
        return FIXED if self.tuning is None else TUNED

    @property
    def cell(self) -> dict[str, Any]:
        """What a learning rate is chosen for: all that training depends on but rate and seed.

        The number of validation images is part of it, as the choice depends on them; so are the
        values of other settings that are chosen with the rate.
        """
        identity = self._trained_identity
        rest = {key: value for key, value in identity.items() if key not in _NOT_OF_CELL}
        recipe = {key: value for key, value in identity["recipe"].items() if key != "lr"}
        rest |= {"recipe": recipe, "validation_images": self.validation_images}
        over = {name: list(values) for name, values in self.search.over}
        return rest | ({"over": over} if over else {})

    @property
    def cell_id(self) -> str:
        """A readable slug and a hash of the cell."""
        dataset = sized_name(self.dataset, self.image_size)
        names = [dataset, self.arch, self.method, self._ratio, self.recipe.name]
        if self.imbalance is not None:
            names.append(f"imbalance{self.imbalance:g}".replace("+", ""))
        return "-".join([*names, _digest(self.cell)])

    @property
    def choices_path(self) -> Path:
        """The file of the rates that were chosen."""
        return Path(self.search.choices or Path(self.files.results_dir) / CHOICES_FILE)

    @property
    def described_tuning(self) -> dict[str, Any]:
        """What a record tells of how the rate was chosen; nothing more of a fixed one."""
        tuning = {} if self.tuning is None else {"tuning": dict(self.tuning)}
        return {"protocol": self.protocol} | tuning

    @property
    def described_plugins(self) -> dict[str, Any]:
        """What a record tells of the run's plugins; nothing of a run that has none."""
        described = {key: origin.described for key, origin in self.plugins.items()}
        return {"plugins": described} if described else {}

    @property
    def run_id(self) -> str:
        """A readable slug and a hash of the identity."""
        return self._slug(self._ratio, self.identity)

    @property
    def record_place(self) -> tuple[str, str, str, str]:
        """Where the run's record lies: results folder, dataset, architecture, run id."""
        return self.files.results_dir, self.dataset, self.arch, self.run_id

    @property
    def with_exact_storage(self) -> "RunConfig":
        """The run that trains the model which this one rounds; it keeps its file."""
        return replace(self, storage=EXACT, files=replace(self.files, keep_model=True))

    @property
    def alone(self) -> "RunConfig":
        """The same run with no other beside it in its process."""
        return replace(self, compute=replace(self.compute, population=1))

    def with_threads(self, threads: int) -> "RunConfig":
        """The same run in a process with so many threads."""
        return replace(self, compute=replace(self.compute, threads=threads))

    def on_device(self, device: str) -> "RunConfig":
        """The same run on the device that was chosen for it among all that it may use."""
        return replace(self, compute=replace(self.compute, device=device, gpus=()))

    @property
    def data_identity(self) -> tuple[str | float | None, ...]:
        """What the images depend on: the same for runs that have the same ones."""
        is_drawn = self.evaluation_split != "test" or self.imbalance is not None
        return (*self.data_source, self.seed if is_drawn else None)

    @property
    def data_source(self) -> tuple[str | float | None, ...]:
        """What the images depend on beside the seed."""
        root, split = self.files.data_root, self.evaluation_split
        whole = self.dataset, root, split, self.validation_images
        return (*whole, self.imbalance, self.image_size)

    @property
    def run_id_without_compression(self) -> str:
        """The same for runs that differ in compression and storage only."""
        identity = self._trained_identity
        del identity["compression"]
        return self._slug("chain", identity)

    def checkpoint_name(self, is_shared: bool, precision: str, kernels: str, num_train: int) -> str:
        """The folder of a run's unfinished work: the same for runs that may go on from it.

        Args:
            is_shared: Whether all compressions share it.
            precision: As resolved on this machine.
            kernels: As resolved on this machine: other sets give other bits.
            num_train: Training images at hand, which a partial dataset has fewer of.
        """
        identity = self._trained_identity | {"precision": precision, "num_train": num_train}
        if kernels != PLAIN:
            identity["kernels"] = kernels
        if is_shared:
            del identity["compression"]
        return self._slug("chain" if is_shared else self._ratio, identity)

    def dense_chain(self, is_shared: bool) -> "RunConfig | None":
        """The training of the dense network that methods which go on from it share.

        None for a method of a plugin, which may begin with another training, and unless
        ``is_shared``: then the run begins with one of its own.
        """
        if not is_shared or "method" in self.plugins:
            return None
        return replace(self, method="dense", changed_options={}, compression=1.0)

    @property
    def _trained_identity(self) -> dict[str, Any]:
        """What training depends on: the identity without what is done after it."""
        return {key: value for key, value in self.identity.items() if key != "storage"}

    @property
    def _ratio(self) -> str:
        return f"{self.compression:g}x".replace("+", "")

    def _slug(self, compression: str, identity: Mapping[str, Any]) -> str:
        storage = f"-{identity['storage']}" if "storage" in identity else ""
        dataset = sized_name(self.dataset, self.image_size)
        protocol = f"-{identity['protocol']}" if "protocol" in identity else ""
        return (
            f"{dataset}-{self.arch}-{self.method}-{compression}{storage}-"
            f"{self.recipe.name}{protocol}-s{self.seed}-{_digest(identity)}"
        )


def _digest(identity: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def _without_defaults(recipe: Recipe) -> dict[str, Any]:
    """The recipe's values; fields that have a default and hold it are left out."""
    values = asdict(recipe)
    return {
        field.name: values[field.name]
        for field in fields(recipe)
        if field.default is MISSING or values[field.name] != field.default
    }

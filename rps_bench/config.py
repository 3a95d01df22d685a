"""One run's settings as a frozen dataclass, and the run's identity.

Nothing behind this page sees a Hydra object. Imports no torch.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from rps_bench.training.recipe import Recipe


@dataclass(frozen=True)
class RunConfig:
    """Everything that one run depends on.

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
        precision: auto, fp32 or bf16.
        device: auto, cpu, cuda or cuda:N.
        data_root: Folder of the image files, None for the user's cache folder.
        results_dir: Where the record goes.
        threads: Of this process, None for what its launcher leaves it.
        gpus: GPUs to divide runs over, empty: ``device`` alone says where.
        runs_per_gpu: Runs at once on each of ``gpus``.
        tracking: Name and options of the tracker; no part of the identity.
        keep_checkpoints: Whether levels that other compressions may share outlive the command.
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
    precision: str
    device: str
    data_root: str | None
    results_dir: str
    tracking: Mapping[str, Any]
    keep_checkpoints: bool
    threads: int | None
    gpus: tuple[int, ...]
    runs_per_gpu: int

    @property
    def label(self) -> str:
        """The curve's name: the method, and its options where they are not the default."""
        changed = ", ".join(f"{key}={value}" for key, value in self.changed_options.items())
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
        if self.precision != "auto":
            identity["precision"] = self.precision
        return identity

    @property
    def run_id(self) -> str:
        """A readable slug and a hash of the identity."""
        return self._slug(self._ratio, self.identity)

    @property
    def run_id_without_compression(self) -> str:
        """The same for runs that differ in compression only."""
        identity = self.identity
        del identity["compression"]
        return self._slug("chain", identity)

    def checkpoint_name(self, is_shared: bool, precision: str, num_train: int) -> str:
        """The folder of a run's unfinished work: the same for runs that may go on from it.

        Args:
            is_shared: Whether all compressions share it.
            precision: As resolved on this machine.
            num_train: Training images at hand, which a partial dataset has fewer of.
        """
        identity = self.identity | {"precision": precision, "num_train": num_train}
        if is_shared:
            del identity["compression"]
        return self._slug("chain" if is_shared else self._ratio, identity)

    @property
    def _ratio(self) -> str:
        return f"{self.compression:g}x".replace("+", "")

    def _slug(self, compression: str, identity: Mapping[str, Any]) -> str:
        text = json.dumps(identity, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return (
            f"{self.dataset}-{self.arch}-{self.method}-{compression}-"
            f"{self.recipe.name}-s{self.seed}-{digest}"
        )


def _without_defaults(recipe: Recipe) -> dict[str, Any]:
    """The recipe's values; fields that have a default and hold it are left out."""
    values = asdict(recipe)
    return {
        field.name: values[field.name]
        for field in fields(recipe)
        if field.default is MISSING or values[field.name] != field.default
    }

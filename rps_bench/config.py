"""The composed command line as one frozen, checked dataclass, and the run's identity.

Nothing behind this page sees a Hydra object. Imports no torch: bad values end at once.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from omegaconf import OmegaConf

from rps_bench.datasets.info import DATASETS
from rps_bench.errors import UserError
from rps_bench.training.recipe import Recipe

EVALUATION_SPLITS = ("test", "validation")
PRECISIONS = ("auto", "fp32", "bf16")
DEFAULT_COMPRESSION = 10.0
LARGEST_SEED = 2**63 - 1


class InapplicableError(UserError):
    """A combination that makes no sense: an error alone, skipped with a line in a sweep."""


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
        device: auto, cpu, cuda, cuda:N or mps.
        data_root: Folder of the image files, None for the user's cache folder.
        results_dir: Where the record goes.
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
        text = json.dumps(self.identity, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        compression = f"{self.compression:g}".replace("+", "")
        return (
            f"{self.dataset}-{self.arch}-{self.method}-{compression}x-"
            f"{self.recipe.name}-s{self.seed}-{digest}"
        )


def freeze(composed: Mapping[str, Any], config_folder: Path) -> RunConfig:
    """Check a composed config (plain containers, interpolations resolved) and freeze it.

    Args:
        composed: The config of one run.
        config_folder: Where ``method/<name>.yaml`` holds the methods' default options.

    Raises:
        InapplicableError: A compression that the method does not have.
        UserError: Any other bad value; one line that names what is allowed.
    """
    _check_keys("", composed, TOP_KEYS)
    dataset, arch = _table(composed, "dataset"), _table(composed, "arch")
    method, recipe = dict(_table(composed, "method")), _table(composed, "recipe")
    _check_keys("dataset.", dataset, ("name", "validation_images"))
    _check_keys("arch.", arch, ("name", "width"))
    if dataset["name"] not in DATASETS:
        raise UserError(f"dataset must be one of {', '.join(DATASETS)}, got {dataset['name']}")
    method_name, fixed = method.pop("name"), method.pop("fixed_compression", None)
    defaults = _method_defaults(config_folder, method_name)
    options = {key: _plain(f"method.{key}", v, defaults.get(key)) for key, v in method.items()}
    return RunConfig(
        dataset=dataset["name"],
        arch=arch["name"],
        method=method_name,
        recipe=_freeze_recipe(recipe),
        compression=_compression(composed["compression"], fixed, method_name),
        seed=_whole("seed", composed["seed"], 0, LARGEST_SEED),
        width=None if arch["width"] is None else _whole("arch.width", arch["width"], 1, 2**20),
        method_options=MappingProxyType(options),
        changed_options=MappingProxyType(
            {k: v for k, v in sorted(options.items()) if k not in defaults or defaults[k] != v}
        ),
        validation_images=_whole(
            "dataset.validation_images", dataset["validation_images"], 1, 10**9
        ),
        evaluation_split=_choice("evaluation_split", composed, EVALUATION_SPLITS),
        precision=_choice("precision", composed, PRECISIONS),
        device=_text("device", composed["device"]),
        data_root=None
        if composed["data_root"] is None
        else _text("data_root", composed["data_root"]),
        results_dir=_text("results_dir", composed["results_dir"]),
    )


TOP_KEYS = (
    "dataset",
    "arch",
    "method",
    "recipe",
    "tracking",
    "compression",
    "seed",
    "evaluation_split",
    "data_root",
    "results_dir",
    "device",
    "precision",
)


def _check_keys(prefix: str, table: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    for key in table:
        if key not in allowed:
            raise UserError(f"unknown key {prefix}{key}; allowed: {', '.join(allowed)}")
    for key in allowed:
        if key not in table:
            raise UserError(f"the key {prefix}{key} is missing")


def _table(composed: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    value = composed[group]
    if not isinstance(value, Mapping) or "name" not in value:
        raise UserError(f"{group} must be chosen by name, got {value}")
    return value


def _method_defaults(config_folder: Path, name: str) -> Mapping[str, Any]:
    """The options in the method's yaml; none where the method's yaml lies elsewhere."""
    path = config_folder / "method" / f"{name}.yaml"
    if not path.is_file():
        return {}
    defaults = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(defaults, dict)
    return {str(key): value for key, value in defaults.items()}


def _compression(value: object, fixed: object, method: str) -> float:
    if value is None:
        value = DEFAULT_COMPRESSION if fixed is None else fixed
    compression = _number("compression", value, "a finite number >= 1")
    if compression < 1:
        raise UserError(f"compression must be a finite number >= 1, got {value}")
    if fixed is not None and compression != fixed:
        raise InapplicableError(
            f"{method} has compression {fixed:g} only, got {compression:g}"  # type: ignore[str-format]
        )
    return compression


def _freeze_recipe(recipe: Mapping[str, Any]) -> Recipe:
    hints = get_type_hints(Recipe)
    _check_keys("recipe.", recipe, tuple(hints))
    values = {key: _typed(f"recipe.{key}", recipe[key], hint) for key, hint in hints.items()}
    return Recipe(**values)


def _typed(key: str, value: object, hint: Any) -> Any:
    """A yaml value as the field's type."""
    if hint is bool:
        if not isinstance(value, bool):
            raise UserError(f"{key} must be true or false, got {value}")
        return value
    if hint is str:
        return _text(key, value)
    if hint is float:
        return _number(key, value, "a finite number")
    if hint == tuple[int, ...]:
        if not isinstance(value, list | tuple):
            raise UserError(f"{key} must be a list of whole numbers, got {value}")
        return tuple(_whole(key, item, -(10**9), 10**9) for item in value)
    if hint == int | None and value is None:
        return None
    return _whole(key, value, -(10**9), 10**9)


def _number(key: str, value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{key} must be {what}, got {value}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise UserError(f"{key} must be {what}, got {value}")
    return number


def _whole(key: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        bounds = f"from {low} up" if high >= 10**9 else f"from {low} to {high}"
        raise UserError(f"{key} must be a whole number {bounds}, got {value}")
    return value


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UserError(f"{key} must be a non-empty text, got {value!r}")
    return value


def _choice(key: str, composed: Mapping[str, Any], allowed: tuple[str, ...]) -> str:
    value = composed[key]
    if value not in allowed:
        raise UserError(f"{key} must be one of {', '.join(allowed)}, got {value}")
    return str(value)


def _plain(key: str, value: object, default: object) -> object:
    """A method option: one number (as float where the default is one), truth value, text or null."""
    if value is not None and not isinstance(value, bool | int | float | str):
        raise UserError(f"{key} must be a single value, got {value}")
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_whole and isinstance(default, float) else value  # type: ignore[arg-type]


def _without_defaults(recipe: Recipe) -> dict[str, Any]:
    """The recipe's values; fields that have a default and hold it are left out."""
    values = asdict(recipe)
    return {
        field.name: values[field.name]
        for field in fields(recipe)
        if field.default is MISSING or values[field.name] != field.default
    }

"""From composed yaml tables to a checked RunConfig: the door that no bad value passes.

Imports no torch, so that a bad value ends the command at once.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rps_bench.config import FIXED, PROTOCOLS, Compute, Files, RunConfig
from rps_bench.core import checks
from rps_bench.core.conf_folder import config_folder
from rps_bench.core.errors import InapplicableError, UserError
from rps_bench.core.origins import Origin
from rps_bench.core.patterns import read_patterns
from rps_bench.core.shown import show
from rps_bench.core.storages import STORAGES
from rps_bench.datasets.info import DATASETS
from rps_bench.engine.names import ENGINES
from rps_bench.plugins import load_plugins, provide
from rps_bench.plugins.groups import GROUPS, registry_of
from rps_bench.plugins.options import check_option, list_options
from rps_bench.plugins.references import read_references
from rps_bench.sweep.compute import read_compute
from rps_bench.sweep.exclusions import refuse_excluded
from rps_bench.sweep.search import read_search
from rps_bench.tracking import build_tracker
from rps_bench.training.recipe import PRECISIONS, RECIPE_KEYS, Recipe
from rps_bench.tuning.choices import with_choice

EVALUATION_SPLITS = ("test", "validation")
DEFAULT_COMPRESSION = 10.0
# In a method's yaml: the only compression that the method has, or the ends of those that it has.
FIXED_COMPRESSION = "fixed_compression"
SMALLEST_COMPRESSION, LARGEST_COMPRESSION = "smallest_compression", "largest_compression"
LARGEST_WIDTH = 65_536

# In the yaml, the fields of ``compute`` and ``files`` stand beside the keys that identify a run.
TOP_KEYS = (
    *("dataset", "arch", "method", "recipe", "compression", "seed"),
    *("evaluation_split", "precision", "engine", "storage"),
    *(field.name for part in (Compute, Files) for field in fields(part)),
    *("protocol", "tune", "exclude", "plugins"),
)

PATTERN_OPTIONS = ("include", "exclude")  # of every method
DATASET_KEYS = ("name", "validation_images", "imbalance", "image_size")


def freeze_composed(composed: DictConfig) -> RunConfig:
    """Freeze what Hydra composed."""
    table: Any = OmegaConf.to_container(composed, resolve=True)
    return freeze(table, config_folder())


def freeze(composed: Mapping[str, Any], config_folder: Path) -> RunConfig:
    """Check one run's composed config and freeze it.

    Args:
        composed: Plain containers, interpolations resolved.
        config_folder: Where ``method/<name>.yaml`` holds the methods' default options.

    Raises:
        InapplicableError: A compression that the method does not have.
        NoChoiceError: The run's learning rate is to be the one chosen for its cell; none was.
        UserError: Any other bad value; one line that names what is allowed.
    """
    checks.keys("", composed, TOP_KEYS)
    dataset = _table(composed, "dataset", DATASET_KEYS)
    arch = _table(composed, "arch", ("name", "width"))
    recipe = _table(composed, "recipe", RECIPE_KEYS)
    method = dict(_table(composed, "method"))
    method_name = checks.text("method", method.pop("name"))
    fixed = method.pop(FIXED_COMPRESSION, None)
    ends = method.pop(SMALLEST_COMPRESSION, 1), method.pop(LARGEST_COMPRESSION, math.inf)
    plugins = _plugins(composed)
    if "method" in plugins:
        defaults, options = _plugin_options(method_name, method)
    else:
        defaults = _method_defaults(config_folder, method_name)
        options = {key: _option(key, value, defaults.get(key)) for key, value in method.items()}
    changed = {k: v for k, v in sorted(options.items()) if k not in defaults or defaults[k] != v}
    width = arch["width"]
    if width is not None:
        checks.whole_number("arch.width", width, 1, LARGEST_WIDTH, "null or ")
    own_recipe = Recipe.from_values(recipe)
    config = RunConfig(
        dataset=checks.choice("dataset", dataset["name"], DATASETS),
        arch=checks.text("arch", arch["name"]),
        method=method_name,
        recipe=own_recipe,
        compression=_compression(composed["compression"], fixed, ends, method_name),
        seed=checks.seed("seed", composed["seed"]),
        width=width,
        method_options=MappingProxyType(options),
        changed_options=MappingProxyType(changed),
        validation_images=checks.whole_number(
            "dataset.validation_images", dataset["validation_images"], 1
        ),
        evaluation_split=checks.choice(
            "evaluation_split", composed["evaluation_split"], EVALUATION_SPLITS
        ),
        imbalance=_imbalance(dataset["imbalance"]),
        image_size=_image_size(dataset["image_size"], str(dataset["name"])),
        precision=checks.choice("precision", composed["precision"], PRECISIONS),
        engine=checks.choice("engine", composed["engine"], ENGINES),
        storage=checks.choice("storage", composed["storage"], STORAGES),
        plugins=MappingProxyType(plugins),
        tuning=None,
        compute=read_compute(composed),
        files=_files(composed),
        search=read_search(composed["tune"], own_recipe),
    )
    protocol = checks.choice("protocol", composed["protocol"], PROTOCOLS)
    refuse_excluded(config, composed["exclude"])
    return config if protocol == FIXED else with_choice(_tunable(config))


def _table(
    composed: Mapping[str, Any], group: str, keys: tuple[str, ...] | None = None
) -> Mapping[str, Any]:
    """A group's table, with just these keys where they are known."""
    table = composed[group]
    if not isinstance(table, Mapping) or "name" not in table:
        raise UserError(f"{group} must be chosen by name, got {show(table)}")
    for key in table:
        if not isinstance(key, str):
            raise UserError(f"unknown key {group}.{key}: a key is a text")
    if keys is not None:
        checks.keys(f"{group}.", table, keys)
    return table


def _tracking(composed: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tracker's name and options, checked by building one."""
    table = dict(_table(composed, "tracking"))
    build_tracker(**table)
    return MappingProxyType(table)


def _plugins(composed: Mapping[str, Any]) -> dict[str, Origin]:
    """Load the plugins of the run; those that its method, network or dataset comes from."""
    load_plugins(read_references(composed["plugins"]))
    found = ((group, provide(group, str(composed[group]["name"]))) for group in GROUPS)
    return {group: origin for group, origin in found if origin is not None}


def _plugin_options(
    name: str, given: Mapping[str, Any]
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The default options of a plugin's method, and those of the run, by its class."""
    method = registry_of("method")[name]
    defaults = list_options(method)
    options = {key: _option(key, value, defaults.get(key)) for key, value in given.items()}
    return defaults, {key: check_option(method, key, value) for key, value in options.items()}


def _method_defaults(config_folder: Path, name: str) -> Mapping[str, Any]:
    """The options in the method's yaml; none where the method's yaml lies elsewhere."""
    path = config_folder / "method" / f"{name}.yaml"
    if "/" in name or not path.is_file():
        return {}
    found = path.stat()
    return _read_defaults(path, found.st_mtime_ns, found.st_size)


@lru_cache(256)  # a sweep has thousands of runs and a handful of methods
def _read_defaults(path: Path, modified_ns: int, num_bytes: int) -> Mapping[str, Any]:
    """The options in a yaml file; it is read again when it has changed."""
    defaults = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(defaults, dict)
    return {str(key): value for key, value in defaults.items()}


def _compression(
    value: object, fixed: float | None, ends: tuple[float, float], method: str
) -> float:
    if value is None:
        value = DEFAULT_COMPRESSION if fixed is None else fixed
    compression = checks.compression_ratio(value)
    if fixed is not None and compression != fixed:
        raise InapplicableError(f"{method} has compression {fixed:g} only, got {show(value)}")
    if not ends[0] <= compression <= ends[1]:
        allowed = f"{ends[0]:g} to {ends[1]:g}"
        raise InapplicableError(f"{method} has compressions from {allowed}, got {show(value)}")
    return compression


def _imbalance(value: object) -> float | None:
    if value is None:
        return None
    return checks.number("dataset.imbalance", value, "null or a number above 1", lambda x: x > 1)


def _image_size(value: object, dataset: str) -> int | None:
    """A size below the dataset's own; None for that, however it was written."""
    info = DATASETS[dataset]

    def fits(value: object) -> bool:
        return value is None or (type(value) is int and value in info.sizes)

    if not fits(value):
        allowed = ", ".join(map(str, info.sizes))
        checks.refuse("dataset.image_size", f"null or one of {allowed} for {dataset}", value, fits)
    return None if value == info.image_size else value  # type: ignore[return-value]


def _tunable(config: RunConfig) -> RunConfig:
    """Refuse a run that can have no learning rate chosen on validation images."""
    if config.evaluation_split != "test":
        raise UserError(
            "protocol=tuned needs evaluation_split=test: the validation images chose its rate"
        )
    return config


def _files(composed: Mapping[str, Any]) -> Files:
    root = composed["data_root"] or None  # empty: a variable unset
    seconds = composed["checkpoint_seconds"]
    if seconds is not None:
        wanted = "null or a number >= 0"
        seconds = checks.number("checkpoint_seconds", seconds, wanted, lambda x: x >= 0)
    return Files(
        data_root=None if root is None else checks.path("data_root", root),
        results_dir=checks.path("results_dir", composed["results_dir"]),
        keep_model=checks.truth_value("keep_model", composed["keep_model"]),
        keep_checkpoints=checks.truth_value("keep_checkpoints", composed["keep_checkpoints"]),
        checkpoint_seconds=seconds,
        tracking=_tracking(composed),
    )


def _option(key: str, value: object, default: object) -> object:
    """A method option: one value, as a float where the default is one; patterns as one text."""
    if key in PATTERN_OPTIONS:
        return ",".join(read_patterns(f"method.{key}", value)) or None
    if value is not None and not isinstance(value, bool | int | float | str):
        raise UserError(f"method.{key} must be a single value, got {show(value)}")
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return checks.number(f"method.{key}", value)
    return checks.round_float(value) if isinstance(value, float) else value

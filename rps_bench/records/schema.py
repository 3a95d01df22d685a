"""The schema of a record: its blocks, their keys, and the check that enforces them.

A record is a plain JSON dict, one per run. Missing is null, never NaN and never a sentinel. Unknown
keys are tolerated, so that older code can read what newer code adds.
"""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from rps_bench.core.errors import UserError
from rps_bench.engine.names import PLAIN

Record = dict[str, Any]

SCHEMA_VERSION = 1
STATUSES = ("completed", "diverged", "failed")
FINISHED = ("completed", "diverged")  # runs that need not be tried again

BLOCKS: dict[str, type] = {
    "config": dict,
    "metrics": dict,
    "history": list,
    "size": dict,
    "cost": dict,
    "provenance": dict,
}


@dataclass(frozen=True)
class EvaluationSplit:
    """The images that a run is evaluated on, and what a record calls the numbers measured on them.

    Everywhere else these are ``accuracy`` (percent, top-1), ``best_accuracy`` and ``loss``.
    """

    name: str

    @property
    def accuracy(self) -> str:
        """Key of the accuracy after an epoch, in ``metrics`` after the last one."""
        return f"{self.name}_accuracy"

    @property
    def best_accuracy(self) -> str:
        """Key of the best accuracy of all epochs."""
        return f"best_{self.name}_accuracy"

    @property
    def loss(self) -> str:
        """Key of the loss after an epoch."""
        return f"{self.name}_loss"

    @property
    def unretrained_accuracy(self) -> str:
        """Key of the accuracy of the trained network compressed at once, not trained again."""
        return f"{self.name}_accuracy_without_retraining"

    @property
    def keys(self) -> tuple[str, str, str]:
        """All of them."""
        return self.accuracy, self.best_accuracy, self.loss

    def rename(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The same values under a record's keys; what is of no split keeps its name."""
        names = {"accuracy": self.accuracy, "best_accuracy": self.best_accuracy, "loss": self.loss}
        return {names.get(key, key): value for key, value in values.items()}


TEST, VALIDATION = EvaluationSplit("test"), EvaluationSplit("validation")


def split_of(config: Mapping[str, Any]) -> EvaluationSplit:
    """The split of a record by its ``config``; one that names none has the test images."""
    return EvaluationSplit(config.get("evaluation_split") or TEST.name)


# Keys that every record has. Values of `metrics`, `size` and `cost` are numbers or null.
# Older records lack ``method_kind`` and ``kernels``, which `upgrade.py` fills in. A kind that is
# not known is null.
CONFIG_NAMES = ("dataset", "arch", "method", "recipe")
METRIC_KEYS = (*TEST.keys, "train_loss")
SIZE_KEYS = (
    "dense_weights",
    "stored_weights",
    "dense_total",
    "stored_total",
    "true_compression",
    "stored_bytes",
)
# Not required of ``size``, as older records lack them: what zstd leaves of the compressed file, and
# the size of the file of a trained network that was compressed at once and not trained again.
FILE_ZSTD = "stored_bytes_zstd"
UNRETRAINED_BYTES = "stored_bytes_without_retraining"
# ``population`` is not required, as older records lack it, which means 1. It is the largest number
# of runs that trained at once; above 1, seconds and speed are those of a shared device, and the
# peak memory is of all runs together.
# Of the optional block ``classes``: whole numbers by class, which older records lack. Images of the
# training split and of the evaluation split, and how many of the latter were right after the last
# epoch; that is null in a diverged run.
CLASS_KEYS = NUM_TRAIN, NUM_EVALUATED, NUM_CORRECT = ("num_train", "num_evaluated", "num_correct")
COST_KEYS = ("train_seconds", "images_per_second", "peak_memory_bytes", "macs")
NUMBER_BLOCKS = {"metrics": METRIC_KEYS, "size": SIZE_KEYS, "cost": COST_KEYS}

# A completed run has at least one of these: which one depends on the split it was evaluated on.
HEADLINE_KEYS = (TEST.accuracy, VALIDATION.accuracy)

CONFIG_OPTION_BLOCKS = ("dataset_options", "arch_options", "method_options", "recipe_options")

_MEASURED = ("_accuracy", "_loss", "lr", "_seconds")  # endings of an epoch's numeric keys

DEEPEST = 20  # levels of nested blocks

_LEAVES = (str, int, type(None))
_LARGEST = sys.float_info.max


class RecordError(UserError):
    """A record, or the file that should hold one, violates the schema."""


def check_record(record: object) -> None:
    """Raise `RecordError` naming the first thing that is wrong with `record`.

    A record without `schema_version` counts as version 1.
    """
    if not isinstance(record, dict):
        raise RecordError(f"a record is a JSON object, not {type(record).__name__}")
    _check_head(record)
    for block, kind in BLOCKS.items():
        if block not in record:
            raise RecordError(f"{block} is missing")
        if not isinstance(record[block], kind):
            noun = "list" if kind is list else "object"
            raise RecordError(f"{block} must be a JSON {noun}")
    _check_config(record["config"])
    for block, keys in NUMBER_BLOCKS.items():
        _check_numbers(block, record[block], keys)
    _check_history(record["history"])
    _check_report(record.get("method_report") or {})
    _check_classes(record)
    if not isinstance(record["provenance"].get("started_at"), str | None):
        raise RecordError("provenance.started_at must be a string or null")
    if not _is_sound(record):
        _check_finite("", record)
    _check_completed(record)


def headline_accuracy(record: Mapping[str, Any]) -> float | None:
    """The accuracy after the last epoch on the record's evaluation split, in percent."""
    accuracy: float | None = record["metrics"].get(split_of(record["config"]).accuracy)
    return accuracy


def _check_head(record: Mapping[str, Any]) -> None:
    version = record.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise RecordError(f"schema_version is {version!r}, this version reads {SCHEMA_VERSION}")
    if not isinstance(record.get("run_id"), str) or not record["run_id"]:
        raise RecordError("run_id must be a non-empty string")
    if record.get("status") not in STATUSES:
        allowed = ", ".join(STATUSES)
        raise RecordError(f"status is {record.get('status')!r}, allowed: {allowed}")
    if not isinstance(record.get("reason"), str | None):
        raise RecordError("reason must be a string or null")


def _check_config(config: Mapping[str, Any]) -> None:
    for key in CONFIG_NAMES:
        if not isinstance(config.get(key), str) or not config[key]:
            raise RecordError(f"config.{key} must be a non-empty string")
    if not isinstance(config.get("method_kind"), str | None):
        raise RecordError("config.method_kind must be a string or null")
    if not isinstance(config.get("kernels", PLAIN), str):
        raise RecordError("config.kernels must be a string")
    compression = config.get("compression")
    if not _is_number(compression) or not compression >= 1:
        raise RecordError(f"config.compression is {compression!r}, must be a number >= 1")
    seed = config.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise RecordError(f"config.seed is {seed!r}, must be an integer")
    for key in CONFIG_OPTION_BLOCKS:
        if not isinstance(config.get(key, {}), dict):
            raise RecordError(f"config.{key} must be a JSON object")


def _check_numbers(block: str, values: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if key not in values:
            raise RecordError(f"{block}.{key} is missing (null where unknown)")
    for key, value in values.items():
        if (
            key in keys or "accuracy" in key or key.startswith("stored_")
        ) and not _is_number_or_null(value):
            raise RecordError(f"{block}.{key} is {value!r}, must be a number or null")


def _check_history(history: list[Any]) -> None:
    for index, entry in enumerate(history):
        if not isinstance(entry, dict):
            raise RecordError(f"history[{index}] must be a JSON object")
        epoch = entry.get("epoch")
        if not isinstance(epoch, int) or isinstance(epoch, bool):
            raise RecordError(f"history[{index}].epoch is {epoch!r}, must be an integer")
        for key, value in entry.items():
            if key.endswith(_MEASURED) and not _is_number_or_null(value):
                raise RecordError(f"history[{index}].{key} is {value!r}, must be a number or null")


def _check_report(report: object) -> None:
    """Check the parts of a method's report that figures draw; all may be missing."""
    densities = report.get("layer_densities", {}) if isinstance(report, dict) else None
    if not isinstance(densities, dict):
        raise RecordError("method_report must be a JSON object, its layer_densities another")
    for name, density in densities.items():
        if not _is_number(density) or not 0 <= density <= 1:
            raise RecordError(f"method_report.layer_densities.{name} is {density!r}, not in [0, 1]")


def _check_classes(record: Mapping[str, Any]) -> None:
    """Check the optional block ``classes``, whose counts must give the headline accuracy."""
    if "classes" not in record:
        return
    classes = record["classes"]
    if not isinstance(classes, dict):
        raise RecordError("classes must be a JSON object")
    for key in CLASS_KEYS:
        counts = classes.get(key)
        if key == NUM_CORRECT and counts is None:
            return
        if not _are_counts(counts) or len(counts) != len(classes[NUM_TRAIN]):
            raise RecordError(f"classes.{key} must be a list of whole numbers, one for each class")
    evaluated, correct = classes[NUM_EVALUATED], classes[NUM_CORRECT]
    if any(hits > count for hits, count in zip(correct, evaluated, strict=True)):
        raise RecordError("classes.num_correct exceeds classes.num_evaluated")
    accuracy, total = headline_accuracy(record), sum(evaluated)
    if accuracy is not None and (
        total == 0 or not math.isclose(accuracy, 100 * sum(correct) / total, abs_tol=1e-6)
    ):
        raise RecordError("classes.num_correct does not give the accuracy in metrics")


def _are_counts(values: object) -> TypeGuard[list[int]]:
    """Whether this is a list of whole numbers from 0."""
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _is_sound(record: Mapping[str, Any]) -> bool:
    """A fast check whether `_check_finite` would pass: most of reading is spent here."""
    # Level by level and without paths; only a record that fails is searched again for the culprit.
    blocks: list[Any] = [record]
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for block in blocks:
            if isinstance(block, Mapping):
                if not all(isinstance(key, str) for key in block):
                    return False
                block = block.values()
            for value in block:
                if isinstance(value, float | int):
                    if not -_LARGEST <= value <= _LARGEST:  # nor NaN
                        return False
                elif not isinstance(value, _LEAVES) and isinstance(value, Mapping | list | tuple):
                    inner.append(value)
        if not inner:
            return True
        blocks = inner
    return False


def _check_finite(path: str, value: object, depth: int = 0) -> None:
    """Refuse NaN, infinity and numbers too large for a float, and name the path to the first."""
    if depth > DEEPEST:
        raise RecordError(f"{path[:80]}... lies deeper than {DEEPEST} blocks")
    if isinstance(value, float) and not math.isfinite(value):
        raise RecordError(f"{path} is {value}, which JSON cannot hold; use null where unknown")
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise RecordError(f"{path} is a number beyond {_LARGEST:g}")
    if isinstance(value, Mapping):
        for key, child in value.items():
            if not isinstance(key, str):
                raise RecordError(f"{path or 'the record'} has the key {key!r}, must be a string")
            _check_finite(f"{path}.{key}" if path else key, child, depth + 1)
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            _check_finite(f"{path}[{index}]", child, depth + 1)


def _check_completed(record: Mapping[str, Any]) -> None:
    """Refuse a completed record that lacks the numbers every report needs."""
    if record["status"] != "completed":
        return
    if all(record["metrics"].get(key) is None for key in HEADLINE_KEYS):
        raise RecordError("metrics.test_accuracy is null in a completed record")
    if record["size"]["true_compression"] is None:
        raise RecordError("size.true_compression is null in a completed record")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_number_or_null(value: object) -> bool:
    return value is None or _is_number(value)

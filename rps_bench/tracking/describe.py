"""A run as a dashboard shows it: its name, its flat settings, its numbers.

Keys consist of letters, digits and underscores: W&B can sort and filter by those, and reads a dot
in a key as a step into a table.
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rps_bench.core import checks
from rps_bench.datasets.info import DATASETS, sized_name
from rps_bench.records.schema import CONFIG_OPTION_BLOCKS, METRIC_KEYS, TEST, Record, split_of
from rps_bench.tracking.base import RunDescription

if TYPE_CHECKING:
    from rps_bench.training.state import EpochResult

LONGEST_NAME = 120  # characters; W&B cuts or refuses names, groups and ids over 128
LONGEST_REASON = 1000

INTERRUPTED = "interrupted"  # never the status of a record: an interrupted run has none

_PROVENANCE = (
    "started_at",
    "git_commit",
    "git_dirty",
    "package_version",
    "cpu_model",
    "gpu_name",
)


def name_text(key: str, value: object, longest: int = LONGEST_NAME) -> str:
    """The value as a name that dashboards accept.

    Raises:
        UserError: It is not; the message calls it ``key``.
    """
    return checks.short_text(key, value, longest)


def run_name(config: Mapping[str, Any]) -> str:
    """A run's name, such as ``stable_rps-10x-s0``; it includes options that are not the default."""
    label = config.get("label") or config["method"]
    return f"{label}-{config['compression']:g}x-s{config['seed']}"[:LONGEST_NAME]


def group_name(config: Mapping[str, Any]) -> str:
    """The sweep that a run belongs to: the same for every command that adds to it."""
    split = split_of(config)
    size = config.get("dataset_options", {}).get("image_size")
    parts = [sized_name(config["dataset"], size), config["arch"], config["recipe"]]
    parts += [] if split == TEST else [split.name]
    parts += ["tuned"] if config.get("tuning") else []
    return "-".join(parts)[:LONGEST_NAME]


def dashboard_run_id(run_id: str, folder_id: str) -> str:
    """A valid id on a dashboard, the same whenever the run of this results folder resumes.

    The folder's id tells it from runs of other folders with the same settings.
    """
    safe = re.sub(r"[^A-Za-z0-9._=+-]", "-", run_id)
    return f"{safe[-(LONGEST_NAME - len(folder_id) - 1) :]}-{folder_id}"


def flat_settings(run: RunDescription) -> dict[str, Any]:
    """The record's config as flat keys: ``method``, ``method_init_std``, ``recipe_epochs``, ..."""
    settings: dict[str, Any] = {"run_id": run.run_id}
    for key, value in run.config.items():
        if key in CONFIG_OPTION_BLOCKS:
            prefix = key.removesuffix("options")
            settings |= {f"{prefix}{option}": _plain(v) for option, v in value.items()}
        else:
            settings[key] = _plain(value)
    return settings


def epoch_number(level: int, result: "EpochResult", epochs_per_level: int) -> int:
    """The number of an epoch on an axis shared by all levels, from 1.

    Every level has as many epochs as a whole training. Epochs that a rewound level skips stay
    empty, so that an epoch's number does not depend on which run trained the earlier levels.
    """
    return level * epochs_per_level + result.epoch


def epoch_values(level: int, result: "EpochResult", run: RunDescription) -> dict[str, Any]:
    """The values to log after an epoch, named as in the record's history.

    Its duration is called ``epoch_seconds``, as ``train_seconds`` in the summary is that of the
    whole run.
    """
    epochs_per_level = run.config["recipe_options"]["epochs"]
    values = {
        "epoch": epoch_number(level, result, epochs_per_level),
        "level": level,
        "level_epoch": result.epoch,
        "lr": result.learning_rate,
        "train_loss": result.train_loss,
        "loss": result.loss,
        "accuracy": result.accuracy,
        "epoch_seconds": result.train_seconds,
    }
    return split_of(run.config).rename(values)


def final_values(record: Record) -> dict[str, Any]:
    """The record's numbers, flat; null where the record has null.

    ``accuracy`` and ``best_accuracy`` are on the run's own split. ``drawn_accuracy`` is the
    chance level for a diverged run, as in the figures, so that it is not lost from a plot.
    """
    config, metrics = record["config"], record["metrics"]
    split = split_of(config)
    accuracy = metrics.get(split.accuracy)
    has_diverged = record["status"] == "diverged"
    return {
        **_status(record["status"], record.get("reason")),
        **dict.fromkeys(METRIC_KEYS),
        **metrics,
        "accuracy": accuracy,
        "best_accuracy": metrics.get(split.best_accuracy),
        "drawn_accuracy": _chance(config["dataset"]) if has_diverged else accuracy,
        **record["size"],
        **record["cost"],
    }


def unfinished_values(run: RunDescription, status: str, reason: str | None) -> dict[str, Any]:
    """The same for a run that failed or was interrupted: no accuracy counts."""
    split = split_of(run.config)
    names = (*METRIC_KEYS, split.accuracy, split.loss)
    no_metrics = dict.fromkeys((*names, "accuracy", "best_accuracy", "drawn_accuracy"))
    return _status(status, reason) | no_metrics


def provenance_settings(record: Record) -> dict[str, Any]:
    """The provenance of a record as flat settings."""
    provenance = record["provenance"]
    settings = {key: provenance[key] for key in _PROVENANCE if provenance.get(key) is not None}
    versions = provenance.get("versions") or {}
    return settings | {f"version_{name.replace('-', '_')}": v for name, v in versions.items()}


def _status(status: str, reason: str | None) -> dict[str, Any]:
    return {
        "status": status,
        "reason": reason and reason[:LONGEST_REASON],
        "diverged": int(status == "diverged"),
    }


def _chance(dataset: str) -> float | None:
    """The accuracy of guessing in percent; None for a dataset that this package does not know."""
    info = DATASETS.get(dataset)
    return None if info is None else 100 / info.num_classes


def _plain(value: object) -> object:
    """The value in a form that dashboards sort and filter: lists and tables become JSON text."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value)

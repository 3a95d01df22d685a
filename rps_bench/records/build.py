"""The blocks of a record: what was asked for, what the run gave, and what it cost.

Needs torch, which reading records does not: nothing else in this room may import it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from rps_bench.config import RunConfig
from rps_bench.costs.macs import measure_macs
from rps_bench.costs.memory import peak_memory_bytes
from rps_bench.costs.sizes import count_zstd_bytes, layer_densities, measure_sizes
from rps_bench.datasets.base import Dataset
from rps_bench.methods import METHODS
from rps_bench.methods.cautions import collapsed_layers
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.write import to_bytes
from rps_bench.records.models import model_path
from rps_bench.records.provenance import collect_provenance
from rps_bench.records.reasons import explain_divergence
from rps_bench.records.schema import (
    CLASS_KEYS,
    COST_KEYS,
    FILE_ZSTD,
    METRIC_KEYS,
    SCHEMA_VERSION,
    SIZE_KEYS,
    UNRETRAINED_BYTES,
    EvaluationSplit,
    Record,
)
from rps_bench.records.store import write_record
from rps_bench.training.chain import Chain
from rps_bench.training.evaluation import Evaluation
from rps_bench.training.state import Outcome

# What a run has of its own; a rounded run takes all else from the run that trained its model.
OWN_KEYS = ("schema_version", "run_id", "status", "reason", "config", "provenance")


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes:
        status: completed, diverged or failed.
        reason: Why, unless it is completed.
        blocks: The blocks of its record that hold numbers.
    """

    status: str
    reason: str | None
    blocks: Mapping[str, Any]


def build_record(
    config: RunConfig,
    described: Mapping[str, Any],
    result: Result,
    provenance: Mapping[str, Any],
) -> Record:
    """The whole record of a run, with its config as ``describe_config`` describes it."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": config.run_id,
        "status": result.status,
        "reason": result.reason,
        "config": described,
        **result.blocks,
        "provenance": provenance,
    }


def describe_config(
    config: RunConfig, device: str, precision: str, kernels: str, dataset: Dataset | None
) -> dict[str, Any]:
    """The ``config`` block: what was asked for, with everything resolved."""
    dataset_options: dict[str, Any] = {
        "imbalance": config.imbalance,
        "image_size": config.image_size,
    }
    if dataset is not None:
        dataset_options |= {
            "num_train": len(dataset.train),
            "num_test": len(dataset.test),
            "is_partial": dataset.is_partial,
        }
    return {
        "dataset": config.dataset,
        "arch": config.arch,
        "method": config.method,
        "method_kind": METHODS[config.method].kind,
        "label": config.label,
        "compression": config.compression,
        "seed": config.seed,
        "recipe": config.recipe.name,
        "evaluation_split": config.evaluation_split,
        **config.described_tuning,
        "storage": config.storage,
        "precision": precision,
        "kernels": kernels,
        "device": device,
        "dataset_options": dataset_options,
        "arch_options": {"width": config.width},
        "method_options": dict(config.method_options),
        "recipe_options": {
            key: value for key, value in asdict(config.recipe).items() if key != "name"
        },
        **config.described_plugins,
    }


def describe_training(
    config: RunConfig,
    chain: Chain,
    dense: nn.Module,
    dataset: Dataset,
    file_sizes: Mapping[str, int],
) -> Result:
    """What training gave and what it cost.

    Args:
        config: The run.
        chain: Its trainings.
        dense: The network before its compression.
        dataset: Its images.
        file_sizes: Of the compressed file, as ``keep_model`` gives them.
    """
    peak_memory = peak_memory_bytes(chain.model.stored.device)  # before more is measured
    split = EvaluationSplit(config.evaluation_split)
    outcome, densities = chain.outcome, layer_densities(chain.model)
    report: dict[str, Any] = {
        "layer_densities": densities,
        "collapsed_layers": collapsed_layers(chain.model),
    }
    if len(chain.levels) > 1:
        levels = [split.rename(level) for level in chain.describe_levels()]
        report |= {"rewind_step": chain.first_step, "levels": levels}
    size = measure_sizes(chain.model, dense, file_sizes["stored_bytes"]) | dict(file_sizes)
    blocks = {
        "metrics": _describe_metrics(split, chain),
        "history": [split.rename(entry) for entry in _describe_epochs(outcome)],
        "size": size | _measure_unretrained(config, chain),
        "cost": {
            "train_seconds": round(outcome.train_seconds, 3),
            "images_per_second": round(outcome.num_images / outcome.train_seconds, 1),
            "peak_memory_bytes": peak_memory,
            **chain.measure_cost(),
            **measure_macs(chain.model, dataset.image_size, densities),
        },
        **_describe_classes(dataset, chain.num_correct),
        "method_report": report,
    }
    if chain.divergence is None:
        return Result("completed", None, blocks)
    return Result("diverged", explain_divergence(chain.divergence, config), blocks)


def describe_rounding(
    config: RunConfig,
    trained: Record,
    found: Evaluation | None,
    dataset: Dataset,
    file_sizes: Mapping[str, int | None],
) -> Result:
    """What rounding a trained model gave; its costs are those of the training.

    It has no history, and its best accuracy is the one accuracy that was measured.

    Args:
        config: The run.
        trained: The record of the run that trained the model.
        found: How good the rounded model is; None if training diverged.
        dataset: Its images.
        file_sizes: Of its compressed file; nothing but ``stored_bytes``, null, if training
            diverged.
    """
    split = EvaluationSplit(config.evaluation_split)
    blocks = {key: value for key, value in trained.items() if key not in OWN_KEYS}
    blocks["history"] = []
    unrounded = (FILE_ZSTD, UNRETRAINED_BYTES)  # of the unrounded model
    blocks["size"] = _without(trained["size"], unrounded) | dict(file_sizes)
    blocks |= _describe_classes(dataset, None if found is None else found.num_correct)
    if found is not None:
        measured = {
            "accuracy": found.accuracy,
            "best_accuracy": found.accuracy,
            "loss": found.loss,
        }
        metrics = _without(trained["metrics"], (split.unretrained_accuracy,))
        blocks["metrics"] = metrics | split.rename(measured)
    return Result(trained["status"], trained["reason"], blocks)


def keep_model(config: RunConfig, model: CompressedModel, accuracy: float | None) -> dict[str, int]:
    """Write the compressed file of a run beside its record, if that is asked for.

    Args:
        config: The run.
        model: What it gave.
        accuracy: How good that is, in percent; None if training diverged: it is not kept then.

    Returns:
        The sizes of the file, also where it is not kept: ``stored_bytes`` and
        ``stored_bytes_zstd``, what zstd leaves of it.
    """
    facts = _describe_file(config, accuracy)
    if config.files.keep_model and accuracy is not None:
        path = model_path(*config.record_place)
        model.save(path, config.storage, facts)
        content = path.read_bytes()
    else:
        content = to_bytes(model, config.storage, facts)
    return {"stored_bytes": len(content), FILE_ZSTD: count_zstd_bytes(content)}


def _describe_file(config: RunConfig, accuracy: float | None) -> dict[str, Any]:
    """What the header of a compressed file tells a reader."""
    facts: dict[str, Any] = {
        "run_id": config.run_id,
        "dataset": config.dataset,
        "method": config.label,
        "compression": config.compression,
        "seed": config.seed,
        "recipe": config.recipe.name,
        EvaluationSplit(config.evaluation_split).accuracy: accuracy,
    }
    if config.image_size is not None:
        facts["image_size"] = config.image_size
    return facts


def _measure_unretrained(config: RunConfig, chain: Chain) -> dict[str, int]:
    """The size of the file before the stored values were trained again, where that is known."""
    if chain.unretrained is None:
        return {}
    facts = _describe_file(config, chain.unretrained.found.accuracy)
    content = to_bytes(chain.unretrained.model, config.storage, facts)
    return {UNRETRAINED_BYTES: len(content)}


def _without(block: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key not in keys}


def record_failure(config: RunConfig, reason: str) -> Record:
    """Write the record of a run that crashed; a later call of the same command tries it again."""
    asked = config.compute.device, config.precision, config.engine
    described = describe_config(config, *asked, None)
    blocks = {
        "metrics": dict.fromkeys(METRIC_KEYS),
        "history": [],
        "size": dict.fromkeys(SIZE_KEYS),
        "cost": dict.fromkeys(COST_KEYS),
    }
    record = build_record(config, described, Result("failed", reason, blocks), collect_provenance())
    write_record(config.files.results_dir, record)
    return record


def _describe_metrics(split: EvaluationSplit, chain: Chain) -> dict[str, float | None]:
    """Headline numbers after the last epoch; null for a diverged run."""
    metrics: dict[str, float | None] = dict.fromkeys((*METRIC_KEYS, *split.keys))
    if chain.divergence is None:
        epochs = chain.outcome.epochs
        last = epochs[-1]
        measured = {
            "train_loss": last.train_loss,
            "loss": last.loss,
            "accuracy": last.accuracy,
            "best_accuracy": max(epoch.accuracy for epoch in epochs),
        }
        metrics |= split.rename(measured)
    if chain.unretrained is not None:
        metrics[split.unretrained_accuracy] = chain.unretrained.found.accuracy
    return metrics


def _describe_classes(dataset: Dataset, num_correct: list[int] | None) -> dict[str, Any]:
    """The ``classes`` block: how many images each has, and how many were right."""
    counts = (
        torch.bincount(split.labels, minlength=dataset.num_classes).tolist()
        for split in (dataset.train, dataset.test)
    )
    return {"classes": dict(zip(CLASS_KEYS, (*counts, num_correct), strict=True))}


def _describe_epochs(outcome: Outcome) -> list[dict[str, Any]]:
    """One entry per epoch."""
    return [
        {
            "epoch": epoch.epoch,
            "lr": epoch.learning_rate,
            "train_loss": epoch.train_loss,
            "loss": epoch.loss,
            "accuracy": epoch.accuracy,
            "train_seconds": round(epoch.train_seconds, 3),
        }
        for epoch in outcome.epochs
    ]

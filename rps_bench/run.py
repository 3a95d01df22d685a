"""The spine: one RunConfig in, one record out."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torch import nn

from rps_bench.config import RunConfig
from rps_bench.console import RunProgress, say, say_cautions
from rps_bench.costs.macs import measure_macs
from rps_bench.costs.memory import peak_memory_bytes, reset_peak_memory
from rps_bench.costs.sizes import layer_densities, measure_sizes
from rps_bench.datasets import load_dataset
from rps_bench.datasets.base import Dataset
from rps_bench.datasets.imbalance import make_imbalanced
from rps_bench.datasets.placed import PlacedData
from rps_bench.datasets.probe import probe_batch
from rps_bench.datasets.splits import hold_out
from rps_bench.devices import prepare_device, resolve_device
from rps_bench.done import find_done
from rps_bench.methods import METHODS, build_method
from rps_bench.methods.cautions import collapsed_layers, warn_of_collapse
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import layout_of
from rps_bench.models import build_model
from rps_bench.reasons import explain_divergence
from rps_bench.records import (
    SCHEMA_VERSION,
    Record,
    collect_provenance,
    find_finished,
    headline_accuracy,
    write_record,
)
from rps_bench.records.models import model_path
from rps_bench.seeds import named_generator
from rps_bench.tracking import RunDescription, TrackedProgress, Tracker
from rps_bench.training.chain import Chain
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.levels import LevelTrainer
from rps_bench.training.loop import Training
from rps_bench.training.precision import resolve_precision
from rps_bench.training.state import Outcome
from rps_bench.turns import count_alive


def run(
    config: RunConfig,
    progress: RunProgress,
    tracker: Tracker,
    placed: PlacedData | None = None,
) -> Record | None:
    """Train one compressed model and write its record; the method is a name to look up, no more.

    Args:
        config: The run.
        progress: Shows it.
        tracker: Hears of it.
        placed: The images of the runs that train beside this one; None for a run alone.

    Returns:
        The record; None if another process has recorded the run in the meantime.

    Raises:
        UserError: Data that cannot be had, or a combination that cannot be built.
        InUseError: Another process is at the run, or at a level that it needs.
    """
    device = resolve_device(config.device)
    prepare_device(device)
    precision = resolve_precision(config.precision, device)
    provenance = collect_provenance()

    dataset = load_data(config)

    init = named_generator(config.seed, "init")
    model = build_model(config.arch, dataset.num_classes, config.width, init).to(device)
    method = build_method(config.method, config.compression, config.seed, **config.method_options)
    levels = method.levels(layout_of(model))

    name = config.checkpoint_name(method.shares_trainings, precision, len(dataset.train))
    files = Checkpoints(config.results_dir, name, say)
    with files.in_use(config.run_id):
        if find_done(config) is not None:
            return None
        described = describe_config(config, str(device), precision, dataset)
        tracker.start(RunDescription(config.run_id, described, config.results_dir))
        images, labels = probe_batch(dataset, config.seed)
        with say_cautions(config.run_id):
            start = method.start(model, (images.to(device), labels.to(device)))
        if count_alive() == 1:  # the peak of several is that of all of them
            reset_peak_memory(device)
        on_device = (placed or PlacedData()).place(dataset, config.data_identity, device)
        training = Training(on_device, config.recipe, config.seed, precision)
        chain = LevelTrainer(
            start,
            model,
            levels,
            method.rewinding,
            method.score_trained,
            training,
            files,
            TrackedProgress(progress, tracker),
            config.checkpoint_seconds,
        ).run()
        if len(levels) > 1:
            with say_cautions(config.run_id):
                warn_of_collapse(chain.model)
        record: Record = {
            "schema_version": SCHEMA_VERSION,
            "run_id": config.run_id,
            "status": "diverged" if chain.divergence else "completed",
            "reason": chain.divergence and explain_divergence(chain.divergence, config),
            "config": described,
            **_measure(chain, model, dataset, config),
            "provenance": provenance,
        }
        if config.keep_model and not chain.divergence:
            keep_model(config, chain.model, describe_facts(config, headline_accuracy(record)))
        write_record(config.results_dir, record)
        files.discard_partial(levels[-1])
        if method.shares_trainings and config.keep_checkpoints:
            kept = files.count_bytes() / 1e6
            say(f"levels kept for other compressions: {kept:.1f} MB in {files.folder}")
    tracker.finish(record)
    return record


def load_data(config: RunConfig) -> Dataset:
    """The images of a run, split and thinned out as it asks."""
    dataset = load_dataset(config.dataset, config.data_root)
    if config.evaluation_split == "validation":
        dataset = hold_out(dataset, config.validation_images, config.seed)
    if config.imbalance is not None:
        dataset = make_imbalanced(dataset, config.imbalance, config.seed)
    return dataset


def keep_model(config: RunConfig, model: CompressedModel, facts: dict[str, Any]) -> None:
    """Write the compressed file of a run beside its record."""
    path = model_path(*config.record_place)
    model.save(path, config.storage, facts)


def describe_facts(config: RunConfig, accuracy: float | None) -> dict[str, Any]:
    """What the header of the run's compressed file tells of it."""
    return {
        "run_id": config.run_id,
        "dataset": config.dataset,
        "method": config.label,
        "compression": config.compression,
        "seed": config.seed,
        "recipe": config.recipe.name,
        f"{config.evaluation_split}_accuracy": accuracy,
    }


def discard_checkpoints(configs: Sequence[RunConfig]) -> None:
    """Delete the levels that runs share, once all of ``configs`` that share them are recorded."""
    names: dict[tuple[str, str], set[str]] = {}
    needed: set[tuple[str, str]] = set()
    for config in configs:
        chain = config.results_dir, config.run_id_without_compression
        record = find_finished(*config.record_place)
        if record is None:
            needed.add(chain)
            continue
        described = record["config"]
        num_train = described.get("dataset_options", {}).get("num_train")
        name = config.checkpoint_name(True, described.get("precision"), num_train)
        names.setdefault(chain, set()).add(name)
    for results_dir, identity in names.keys() - needed:
        for name in names[results_dir, identity]:
            Checkpoints(results_dir, name, say).discard_all()


def _measure(chain: Chain, model: nn.Module, dataset: Dataset, config: RunConfig) -> dict[str, Any]:
    """What training gave and what it cost: the blocks of a record that hold numbers."""
    split = config.evaluation_split
    peak_memory = peak_memory_bytes(chain.model.stored.device)
    outcome = chain.outcome
    report: dict[str, Any] = {
        "layer_densities": layer_densities(chain.model),
        "collapsed_layers": collapsed_layers(chain.model),
    }
    if len(chain.levels) > 1:
        report |= {"rewind_step": chain.first_step, "levels": chain.describe_levels(split)}
    metrics = _metrics(chain, split)
    facts = describe_facts(config, metrics[f"{split}_accuracy"])
    return {
        "metrics": metrics,
        "history": _history(outcome, split),
        "size": measure_sizes(chain.model, model, facts),
        "cost": {
            "train_seconds": round(outcome.train_seconds, 3),
            "images_per_second": round(outcome.num_images / outcome.train_seconds, 1),
            "peak_memory_bytes": peak_memory,
            **chain.measure_cost(),
            **measure_macs(chain.model, dataset.image_size),
        },
        "method_report": report,
    }


def record_failure(config: RunConfig, reason: str) -> Record:
    """Write the record of a run that crashed; a later call of the same command tries it again."""
    no_metrics = dict.fromkeys(("test_accuracy", "best_test_accuracy", "test_loss", "train_loss"))
    sizes = ("dense_weights", "stored_weights", "dense_total", "stored_total")
    costs = ("train_seconds", "images_per_second", "peak_memory_bytes", "macs")
    record: Record = {
        "schema_version": SCHEMA_VERSION,
        "run_id": config.run_id,
        "status": "failed",
        "reason": reason,
        "config": describe_config(config, config.device, config.precision, None),
        "metrics": no_metrics,
        "history": [],
        "size": dict.fromkeys((*sizes, "true_compression", "stored_bytes")),
        "cost": dict.fromkeys(costs),
        "provenance": collect_provenance(),
    }
    write_record(config.results_dir, record)
    return record


def describe_config(
    config: RunConfig, device: str, precision: str, dataset: Dataset | None
) -> dict[str, Any]:
    """The ``config`` block of a record: what was asked for, with everything resolved."""
    dataset_options: dict[str, Any] = {"imbalance": config.imbalance}
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
        "storage": config.storage,
        "precision": precision,
        "device": device,
        "dataset_options": dataset_options,
        "arch_options": {"width": config.width},
        "method_options": dict(config.method_options),
        "recipe_options": {
            key: value for key, value in asdict(config.recipe).items() if key != "name"
        },
        **config.described_plugins,
    }


def _metrics(chain: Chain, split: str) -> dict[str, float | None]:
    """Headline numbers after the last epoch, under the name of the split they were measured on."""
    metrics: dict[str, float | None] = dict.fromkeys(
        ("test_accuracy", "best_test_accuracy", "test_loss", "train_loss")
    )
    if chain.divergence is None:
        epochs = chain.outcome.epochs
        last = epochs[-1]
        metrics["train_loss"] = last.train_loss
        metrics[f"{split}_loss"] = last.test_loss
        metrics[f"{split}_accuracy"] = last.test_accuracy
        metrics[f"best_{split}_accuracy"] = max(epoch.test_accuracy for epoch in epochs)
    return metrics


def _history(outcome: Outcome, split: str) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch.epoch,
            "lr": epoch.learning_rate,
            "train_loss": epoch.train_loss,
            f"{split}_loss": epoch.test_loss,
            f"{split}_accuracy": epoch.test_accuracy,
            "train_seconds": round(epoch.train_seconds, 3),
        }
        for epoch in outcome.epochs
    ]

"""The spine: one RunConfig in, one record out."""

from dataclasses import dataclass
from functools import partial

import torch

from rps_bench.config import RunConfig
from rps_bench.core.console import say, say_cautions
from rps_bench.core.seeds import named_generator
from rps_bench.core.storages import EXACT
from rps_bench.costs.macs import multiplications_of
from rps_bench.costs.memory import reset_peak_memory
from rps_bench.datasets import load_dataset
from rps_bench.datasets.base import Dataset
from rps_bench.datasets.imbalance import make_imbalanced
from rps_bench.datasets.placed import PlacedData
from rps_bench.datasets.probe import probe_batch
from rps_bench.datasets.shrinking import shrink
from rps_bench.datasets.splits import hold_out, hold_out_evenly
from rps_bench.engine.choose import name_build, resolve_kernels
from rps_bench.engine.threads import steadied
from rps_bench.methods import build_method, load_compressed
from rps_bench.methods.base import Method
from rps_bench.methods.cautions import warn_of_collapse
from rps_bench.methods.layout import layout_of
from rps_bench.models import build_model
from rps_bench.records import Record, collect_provenance, find_finished, write_record
from rps_bench.records.build import (
    Result,
    build_record,
    describe_config,
    describe_rounding,
    describe_training,
    keep_model,
)
from rps_bench.records.done import find_done
from rps_bench.records.models import model_path
from rps_bench.runtime.devices import prepare_device, resolve_device
from rps_bench.runtime.turns import count_alive
from rps_bench.tracking import RunDescription, TrackedProgress, Tracker
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.evaluation import evaluate
from rps_bench.training.level_trainer import LevelTrainer
from rps_bench.training.loop import Training
from rps_bench.training.precision import resolve_precision
from rps_bench.training.progress import Progress


def run(
    config: RunConfig, progress: Progress, tracker: Tracker, placed: PlacedData | None = None
) -> Record | None:
    """Do one run and write its record: train a compressed model, or round one that is trained.

    The method is a name to look up, no more.

    Args:
        config: The run.
        progress: Shows it.
        tracker: Shows it on a dashboard.
        placed: The images of the runs that train beside this one; None for a run alone.

    Returns:
        The record; None if another process has recorded the run in the meantime.

    Raises:
        UserError: Data that cannot be had, or a combination that cannot be built.
        InUseError: Another process is at the run, or at a level that it needs.
    """
    # Where to compute, and what may change the numbers there.
    device = resolve_device(config.compute.device)
    prepare_device(device)
    precision = resolve_precision(config.precision, device)
    kernels, build = _find_kernels(config, device)
    provenance = collect_provenance(build)

    dataset = load_data(config)
    method = build_method(config.method, config.compression, config.seed, **config.method_options)

    # Runs that share trainings share a folder of unfinished work; all others have their own.
    is_trained_here = config.storage == EXACT
    shares_levels = is_trained_here and method.shares_trainings
    resolved = precision, kernels, len(dataset.train)
    name = config.checkpoint_name(shares_levels, *resolved)
    of_dense = config.dense_chain(is_trained_here and method.shares_dense_training)
    dense = None if of_dense is None else of_dense.checkpoint_name(True, *resolved)
    checkpoints = Checkpoints(config.files.results_dir, name, say, dense)
    with checkpoints.in_use(config.run_id):
        if find_done(config) is not None:  # by another process, before this one had the lock
            return None
        described = describe_config(config, str(device), precision, kernels, dataset)
        tracker.start(RunDescription(config.run_id, described, config.files.results_dir))
        here = Setting(config, device, precision, kernels, dataset, placed or PlacedData())
        if is_trained_here:
            result = _train(here, method, checkpoints, TrackedProgress(progress, tracker))
        else:
            result = _round(here)
        record = build_record(config, described, result, provenance)
        write_record(config.files.results_dir, record)
        checkpoints.discard_own_partials()
        if shares_levels and config.files.keep_checkpoints:
            kept = checkpoints.count_bytes() / 1e6
            places = " and ".join(map(str, checkpoints.folders))
            say(f"levels kept for other compressions: {kept:.1f} MB in {places}")
    tracker.finish(record)
    return record


def load_data(config: RunConfig) -> Dataset:
    """The images of a run, as small, split and thinned out as it asks."""
    dataset = load_dataset(config.dataset, config.files.data_root)
    if config.image_size is not None:
        dataset = shrink(dataset, config.image_size)
    if config.evaluation_split == "validation":
        take = hold_out if config.imbalance is None else hold_out_evenly
        dataset = take(dataset, config.validation_images, config.seed)
    if config.imbalance is not None:
        dataset = make_imbalanced(dataset, config.imbalance, config.seed)
    return dataset


@dataclass(frozen=True)
class Setting:
    """A run, and what it works with.

    Attributes:
        config: The run.
        device: Where it computes.
        precision: fp32 or bf16.
        kernels: The set that training steps are done by, in full.
        dataset: Its images, in main memory.
        placed: Images on devices, which runs that train at once share.
    """

    config: RunConfig
    device: torch.device
    precision: str
    kernels: str
    dataset: Dataset
    placed: PlacedData

    def place(self) -> Dataset:
        """The images on the device."""
        return self.placed.place(self.dataset, self.config.data_identity, self.device)


def _train(here: Setting, method: Method, checkpoints: Checkpoints, progress: Progress) -> Result:
    """Build a network, compress it as the method does, and train it."""
    config, device = here.config, here.device
    init = named_generator(config.seed, "init")
    network = build_model(config.arch, here.dataset.num_classes, config.width, init).to(device)
    dense = method.choose(network)
    multiplications_of(dense, here.dataset.image_size)  # what cannot be counted fails now
    levels = method.levels(layout_of(dense))
    images, labels = probe_batch(here.dataset, config.seed)
    probe = images.to(device), labels.to(device)
    # Scores have the bits of one thread, as steps do.
    with say_cautions(config.run_id), steadied(here.kernels):
        start = method.start(dense, probe)
    if count_alive() == 1:  # the peak of several is that of all of them
        reset_peak_memory(device)
    training = Training(here.place(), config.recipe, config.seed, here.precision, here.kernels)
    chain = LevelTrainer(
        start,
        dense,
        levels,
        method.rewinding,
        partial(method.compress_trained, probe=probe),
        training,
        checkpoints,
        progress,
        config.files.checkpoint_seconds,
    ).run()
    if len(levels) > 1:  # else it was said at the start
        with say_cautions(config.run_id):
            warn_of_collapse(chain.model)
    file_sizes = keep_model(config, chain.model, chain.accuracy)
    return describe_training(config, chain, dense, here.dataset, file_sizes)


def _round(here: Setting) -> Result:
    """Round the model that the same run with exact storage has kept, and evaluate it.

    Raises:
        UserError: The model cannot be rounded so, or its file is broken.
    """
    config, exact = here.config, here.config.with_exact_storage
    trained = _read_trained(config)
    if trained["status"] == "diverged":
        return describe_rounding(config, trained, None, here.dataset, {"stored_bytes": None})
    model = load_compressed(model_path(*exact.record_place)).to(here.device)
    model.round_stored(config.storage)
    found = evaluate(model, here.place(), here.precision)
    file_sizes = keep_model(config, model, found.accuracy)
    return describe_rounding(config, trained, found, here.dataset, file_sizes)


def _read_trained(config: RunConfig) -> Record:
    """The record of the run that trained the model which this one rounds."""
    trained = find_finished(*config.with_exact_storage.record_place)
    assert trained is not None
    return trained


def _find_kernels(config: RunConfig, device: torch.device) -> tuple[str, str | None]:
    """The kernels that the run's model is trained by, and their library if they have one."""
    if config.storage == EXACT:
        name = resolve_kernels(config.engine, device, say)
        return name, name_build(name)
    trained = _read_trained(config)
    return trained["config"]["kernels"], trained["provenance"].get("kernels_build")

"""The sides of the comparison, each an object that trains a round when told."""

from collections.abc import Callable
from typing import Protocol

import torch

from rps_bench.engine.names import KERNEL_SETS
from rps_bench.runtime.cores import set_threads
from rps_bench.runtime.devices import prepare_device
from rps_bench.training.loop import Trainer, Training
from scripts.bench.conventional import build_loop, make_loader
from scripts.bench.subject import SEED, Job, prepare_subject


class Side(Protocol):
    """One way to train."""

    def take_round(self) -> None:
        """Train for a round's steps; a GPU may still be busy afterwards."""
        ...


class ConventionalSide:
    """The baseline of ``conventional.py``, which supports fp32 only."""

    def __init__(self, job: Job) -> None:
        assert job.precision == "fp32"
        set_threads(job.num_threads)
        subject, self.num_steps = prepare_subject(job), job.num_steps
        is_pinned = torch.device(job.device).type == "cuda"
        torch.backends.cudnn.benchmark = True  # as in usual scripts, which also leave TF32 on
        loader = make_loader(subject.dataset, subject.recipe.batch_size, job.num_workers, is_pinned)
        self.loop = build_loop(subject.model, subject.compressed, loader, subject.recipe)

    def take_round(self) -> None:
        """Train for the steps of a round."""
        self.loop.take_steps(self.num_steps)


class TrainerSide:
    """The trainer that the package's runs use, by one set of kernels."""

    def __init__(self, job: Job) -> None:
        set_threads(job.num_threads)
        prepare_device(torch.device(job.device))
        subject, self.epoch = prepare_subject(job), 0
        images = subject.dataset.to(torch.device(job.device))
        training = Training(images, subject.recipe, SEED, job.precision, job.kernels)
        self.trainer = Trainer(subject.compressed, training)

    def take_round(self) -> None:
        """Train for an epoch, which the recipe limits to the steps of a round."""
        self.epoch += 1
        self.trainer.train_epoch(self.epoch)


class EagerSide(TrainerSide):
    """The trainer without captured steps, which shows the gain of CUDA graphs."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.trainer.captured = None


SIDES: dict[str, Callable[[Job], Side]] = {
    "conventional": ConventionalSide,
    **dict.fromkeys(KERNEL_SETS, TrainerSide),
    "eager": EagerSide,
}

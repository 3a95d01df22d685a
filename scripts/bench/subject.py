"""The subject of both sides: the same network, map, initial values, images and recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn

from rps_bench.core.seeds import named_generator
from rps_bench.datasets import DATASETS, load_dataset
from rps_bench.datasets.base import Dataset, Split
from rps_bench.datasets.folders import resolve_root
from rps_bench.datasets.sources import find_source
from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import build_model
from rps_bench.training.recipe import Recipe

METHOD = "stable_rps"
BATCH_SIZE = 128
IMAGE_SIZE = 32  # height and width
SEED = 0


class Job(NamedTuple):
    """The task of one side: what to train, and how."""

    side: str  # a name of SIDES
    kernels: str  # the set that its training steps are done by, in full
    precision: str  # fp32 or bf16
    arch: str
    width: int | None
    compression: float
    device: str
    images: str  # cifar10 or random
    num_steps: int  # of a round
    num_threads: int
    num_workers: int  # processes that load images for the conventional loop; others need none
    waiting: Mapping[str, str]  # variables that say how its threads wait for each other


@dataclass(frozen=True)
class Subject:
    """A network before and after compression, its data and its recipe."""

    model: nn.Module
    compressed: CompressedModel
    dataset: Dataset
    recipe: Recipe


def prepare_subject(job: Job) -> Subject:
    """The subject of a job, with networks on its device."""
    device = torch.device(job.device)
    model = build_network(job.arch, job.width).to(device)
    method = build_method(METHOD, job.compression, SEED)
    compressed = method.compress(model, make_probe(device))
    return Subject(model, compressed, load_images(job.images), make_recipe(job.num_steps))


def build_network(arch: str, width: int | None) -> nn.Module:
    """A network for ten classes with its seeded init."""
    return build_model(arch, 10, width, named_generator(SEED, "init"))


def make_probe(device: torch.device) -> Probe:
    """A batch of noise, as the methods measured here do not use the probe."""
    shape = (BATCH_SIZE, 3, IMAGE_SIZE, IMAGE_SIZE)
    images = torch.randn(shape, generator=named_generator(SEED, "probe"))
    return images.to(device), torch.arange(BATCH_SIZE, device=device) % 10


def make_recipe(num_steps: int) -> Recipe:
    """The settings of recipe paper, with epochs limited to a round's steps."""
    return Recipe(
        name="benchmark",
        epochs=160,
        batch_size=BATCH_SIZE,
        lr=0.1,
        momentum=0.9,
        nesterov=False,
        weight_decay=1e-4,
        schedule="step",
        drops=(80, 120),
        factor=0.1,
        max_steps_per_epoch=num_steps,
    )


def choose_images(wanted: str) -> str:
    """The images to use, cifar10 or random; ``auto`` never downloads."""
    if wanted != "auto":
        return wanted
    is_at_hand = find_source(DATASETS["cifar10"], resolve_root(None)) is not None
    return "cifar10" if is_at_hand else "random"


def load_images(images: str) -> Dataset:
    """CIFAR-10, or as many random images of its shape."""
    return load_dataset("cifar10") if images == "cifar10" else draw_images()


def draw_images(num_train: int | None = None) -> Dataset:
    """A random CIFAR-10 with `num_train` training images (default: as many as the real one)."""
    info = DATASETS["cifar10"]
    generator = named_generator(SEED, "images")

    def draw(count: int) -> Split:
        shape = (count, 3, IMAGE_SIZE, IMAGE_SIZE)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        return Split(images, torch.arange(count) % info.num_classes)

    train = draw(num_train or info.num_train)
    return Dataset(replace(info, num_train=len(train)), train, draw(info.num_classes))

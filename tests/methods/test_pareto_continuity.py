"""Section 2's theorem: at c = 1 a whole training run under RANDOMFOLD follows the dense run."""

from collections.abc import Callable

import pytest
import torch

from rps_bench.datasets import load_dataset
from rps_bench.datasets.base import Dataset
from rps_bench.datasets.probe import normalise, probe_batch
from rps_bench.methods import build_method
from rps_bench.models import build_model
from rps_bench.training.loop import Trainer, Training
from rps_bench.training.recipe import Recipe

NUM_STEPS = 20
RECIPE = Recipe(
    name="test",
    epochs=1,
    batch_size=32,
    lr=0.1,
    momentum=0.9,
    nesterov=False,
    weight_decay=1e-4,
    schedule="step",
    drops=(),
    factor=0.1,
)
Run = Callable[..., list[float]]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="module")
def run(dataset: Dataset) -> Run:
    """(method, options) -> the losses of 20 steps at c = 1, in float64, on the same batches."""
    model = build_model("resnet20", 10, 4, torch.Generator().manual_seed(0)).double()
    probe = probe_batch(dataset, 0)
    batches = []
    for step in range(NUM_STEPS):
        rows = torch.arange(32 * step, 32 * (step + 1))
        images = normalise(
            dataset.train.images[rows], dataset.mean, dataset.std, dtype=torch.float64
        )
        batches.append((images, dataset.train.labels[rows]))

    def train(name: str, **options: object) -> list[float]:
        compressed = build_method(name, 1, 0, **options).compress(model, probe).train()
        trainer = Trainer(compressed, Training(dataset, RECIPE, 0, "fp32"))
        return [trainer.train_step(images, labels).item() for images, labels in batches]

    return train


@pytest.fixture(scope="module")
def dense_losses(run: Run) -> list[float]:
    losses = run("dense")
    assert losses[-1] < losses[0] - 0.5, "the run should really train"
    return losses


def deviation(losses: list[float], others: list[float]) -> float:
    return max(abs(loss - other) for loss, other in zip(losses, others, strict=True))


@pytest.mark.parametrize(
    ("name", "scaling", "init_std"),
    [
        ("stable_rps", "gram", 0.001),
        ("stable_rps", "gram", 1.0),
        ("rpg", "squared_mean", 1.0),  # a bijection too; one weight a slot makes the two equal
    ],
)
def test_the_run_follows_the_dense_run(
    name: str, scaling: str, init_std: float, run: Run, dense_losses: list[float]
) -> None:
    losses = run(name, scaling=scaling, init_std=init_std, repository_init="project")
    assert deviation(losses, dense_losses) < 1e-9


def test_without_scaling_it_does_not(run: Run, dense_losses: list[float]) -> None:
    losses = run("stable_rps", scaling="none", init_std=1.0, repository_init="project")
    assert losses[0] == pytest.approx(dense_losses[0], abs=1e-9)
    assert not deviation(losses, dense_losses) < 1e-2

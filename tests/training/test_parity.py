"""The loop against plain PyTorch loops written out by hand, in float64."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.datasets.base import Dataset
from rps_bench.methods.compressed import CompressedModel
from rps_bench.training.augmentation import plan_epoch
from rps_bench.training.loop import Trainer, Training
from rps_bench.training.recipe import Recipe
from rps_bench.training.state import Outcome
from tests.training.train import train

DOUBLE = torch.float64
SEED = 4


def compressible(model: nn.Module) -> list[torch.Tensor]:
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    return [layer.weight for layer in layers]


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in compressible(model)])


def batches_by_hand(
    dataset: Dataset, recipe: Recipe, epoch: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Each image padded, cut, flipped and normalised on its own."""
    plan = plan_epoch(len(dataset.train), dataset.flip, SEED, epoch, torch.device("cpu"))
    mean = torch.tensor(dataset.mean, dtype=DOUBLE)[:, None, None]
    std = torch.tensor(dataset.std, dtype=DOUBLE)[:, None, None]
    size = dataset.image_size
    for first in range(0, len(dataset.train), recipe.batch_size):
        images, labels = [], []
        for place in range(first, min(first + recipe.batch_size, len(dataset.train))):
            row = int(plan.order[place])
            top, left = plan.shifts[place].tolist()
            image = torch.zeros(3, size + 8, size + 8, dtype=DOUBLE)
            image[:, 4:-4, 4:-4] = dataset.train.images[row].double() / 255
            image = image[:, top : top + size, left : left + size]
            if plan.flips[place]:
                image = image.flip(2)
            images.append((image - mean) / std)
            labels.append(int(dataset.train.labels[row]))
        yield torch.stack(images), torch.tensor(labels)


def rate_by_hand(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    if recipe.schedule == "step":
        return recipe.lr * recipe.factor ** len(
            [d for d in recipe.drops if step >= d * steps_per_epoch]
        )
    done = step / (recipe.epochs * steps_per_epoch)
    if done < 0.2:
        return recipe.lr * (0.1 + 0.9 * done / 0.2)
    return recipe.lr * math.cos(math.pi / 2 * (done - 0.2) / 0.8) ** 2


def train_by_hand(model: nn.Module, dataset: Dataset, recipe: Recipe) -> list[float]:
    """A plain loop over a plain module; returns the mean loss over the images of each epoch."""
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=1e9,  # every step sets its own
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )
    step, losses = 0, []
    steps_per_epoch = math.ceil(len(dataset.train) / recipe.batch_size)
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        total = 0.0
        for images, labels in batches_by_hand(dataset, recipe, epoch):
            optimizer.param_groups[0]["lr"] = rate_by_hand(recipe, step, steps_per_epoch)
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(labels)
            step += 1
        losses.append(total / len(dataset.train))
    return losses


def train_ours(model: CompressedModel, dataset: Dataset, recipe: Recipe) -> Outcome:
    outcome = train(model, dataset, recipe, SEED, "fp32")
    assert outcome.divergence is None
    return outcome


# 37 images in batches of 8: five steps an epoch, the last of five images; ten steps in all.
RECIPES: dict[str, dict[str, Any]] = {
    "one_cycle": {"weight_decay": 0.01},
    "step": {
        "schedule": "step",
        "drops": (1,),
        "factor": 0.3,
        "nesterov": True,
        "weight_decay": 0.01,
    },
    "plain": {"schedule": "step", "momentum": 0.0, "weight_decay": 0.0},
}


@pytest.mark.parametrize("recipe_name", RECIPES)
@pytest.mark.parametrize("flip", [True, False])
def test_dense_follows_a_plain_pytorch_loop(
    recipe_name: str,
    flip: bool,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    recipe, dataset = make_recipe(**RECIPES[recipe_name]), make_dataset(flip=flip)
    compressed = compress("dense", 1, DOUBLE)
    plain, start = compressed.to_dense(), flat(compressed.to_dense())
    expected = train_by_hand(plain, dataset, recipe)
    outcome = train_ours(compressed, dataset, recipe)
    assert [epoch.train_loss for epoch in outcome.epochs] == pytest.approx(expected, rel=1e-11)
    ours = compressed.to_dense()
    assert float((flat(ours) - start).abs().max()) > 0.01  # it did move
    state = plain.state_dict()
    assert ours.state_dict().keys() == state.keys()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=1e-10, atol=1e-11, msg=name)


def test_a_square_sharing_map_follows_the_dense_run(
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    recipe, dataset = make_recipe(weight_decay=0.01, nesterov=True), make_dataset()
    dense = compress("dense", 1, DOUBLE)
    shared = compress("stable_rps", 1, DOUBLE, repository_init="project", init_std=0.3)
    expected, found = (train_ours(model, dataset, recipe) for model in (dense, shared))
    torch.testing.assert_close(shared.weights(), dense.weights(), rtol=1e-9, atol=1e-10)
    for ours, theirs in zip(found.epochs, expected.epochs, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-9)
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-9)
        assert ours.accuracy == theirs.accuracy


def scale_by_hand(slots: list[int], magnitudes: list[float], m: int, scaling: str) -> torch.Tensor:
    """(m,) s, one weight at a time."""
    users: list[list[float]] = [[] for _ in range(m)]
    for slot, magnitude in zip(slots, magnitudes, strict=True):
        if slot >= 0:
            users[slot].append(magnitude)
    rules: dict[str, Callable[[list[float]], float]] = {
        "none": lambda used: 1.0,
        "gram": lambda used: sum(x * x for x in used),
        "squared_mean": lambda used: sum(used) ** 2 / len(used),
    }
    return torch.tensor([rules[scaling](used) if used else 1.0 for used in users], dtype=DOUBLE)


@pytest.mark.parametrize(
    ("name", "scaling", "options"),
    [
        ("stable_rps", "gram", {}),
        ("stable_rps", "squared_mean", {"scaling": "squared_mean"}),
        ("hashednet", "none", {}),
        ("hashednet", "gram", {"scaling": "gram"}),
        ("roast", "none", {"tile": 4}),
        ("mag", "none", {}),
    ],
)
@pytest.mark.parametrize("nesterov", [False, True])
def test_gradients_are_scaled_between_backward_and_optimizer(
    name: str,
    scaling: str,
    options: dict[str, Any],
    nesterov: bool,
    compress: Callable[..., CompressedModel],
    make_recipe: Callable[..., Recipe],
) -> None:
    """Three steps: theta by the rule of SGD written out, the weights by a table of A."""
    compressed = compress(name, 7, DOUBLE, **options)
    weight_map, m = compressed.weight_map, len(compressed.stored)
    slots, coefficients = weight_map.slots(), weight_map.coefficients()
    scale = scale_by_hand(slots.tolist(), coefficients.abs().tolist(), m, scaling)
    used = slots >= 0
    plain = compressed.to_dense().train()
    others = [p for p in plain.parameters() if all(p is not w for w in compressible(plain))]
    theta = compressed.stored.detach().clone()
    state = [theta, *others]
    velocities = [torch.zeros_like(value) for value in state]

    recipe = make_recipe(
        schedule="step", epochs=1, lr=0.02, nesterov=nesterov, momentum=0.9, weight_decay=0.1
    )
    trainer = Trainer(compressed.train(), Training(_no_images(), recipe, 0, "fp32"))
    generator = torch.Generator().manual_seed(2)
    for _ in range(3):
        images = torch.randn(6, 3, 8, 8, generator=generator, dtype=DOUBLE)
        labels = torch.randint(0, 10, (6,), generator=generator)
        found = trainer.train_step(images, labels)

        weights = torch.where(used, theta[slots.clamp(min=0)] * coefficients, 0.0)
        with torch.no_grad():
            pieces = weights.split_with_sizes([weight.numel() for weight in compressible(plain)])
            for weight, piece in zip(compressible(plain), pieces, strict=True):
                weight.copy_(piece.view(weight.shape))
        plain.zero_grad()
        loss = F.cross_entropy(plain(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        assert float(found.detach()) == pytest.approx(float(loss.detach()), rel=1e-11)
        grad = torch.cat([_grad(weight).flatten() for weight in compressible(plain)])
        grad_theta = torch.zeros(m, dtype=DOUBLE)
        grad_theta.index_add_(0, slots[used], (grad * coefficients)[used])
        grads = [grad_theta / scale, *map(_grad, others)]
        with torch.no_grad():
            for value, gradient, velocity in zip(state, grads, velocities, strict=True):
                decayed = gradient + 0.1 * value
                velocity.mul_(0.9).add_(decayed)
                value -= 0.02 * (decayed + 0.9 * velocity if nesterov else velocity)

    torch.testing.assert_close(compressed.stored.detach(), theta, rtol=1e-10, atol=1e-12)
    ours = dict(compressed.skeleton.named_parameters())
    theirs = {name: p for name, p in plain.named_parameters() if name in ours}
    assert len(theirs) == len(others)
    for parameter_name, value in ours.items():
        torch.testing.assert_close(value, theirs[parameter_name], rtol=1e-10, atol=1e-12)


def _grad(parameter: torch.Tensor) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _no_images() -> Dataset:
    from rps_bench.datasets import DATASETS
    from rps_bench.datasets.base import Split

    one = Split(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    return Dataset(DATASETS["digits"], one, one)

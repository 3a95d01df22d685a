"""A loss that is not finite ends a run as an outcome with a reason, never as an exception."""

from collections.abc import Callable

import pytest
import torch

from rps_bench.datasets.base import Dataset
from rps_bench.methods.compressed import CompressedModel
from rps_bench.training import loop
from rps_bench.training.evaluation import Evaluation
from rps_bench.training.loop import CHECK_EVERY, Trainer
from rps_bench.training.recipe import Recipe
from rps_bench.training.state import EpochResult
from tests.training.train import train

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("name", ["stable_rps", "dense", "mag"])
def test_a_huge_learning_rate_diverges(
    name: str,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    recipe = make_recipe(schedule="step", epochs=10, lr=1e6)
    told: list[EpochResult] = []
    model = compress(name, 1 if name == "dense" else 10)
    outcome = train(model, make_dataset(), recipe, 0, "fp32", on_epoch=told.append)
    assert outcome.divergence is not None
    assert "loss" in outcome.divergence
    assert "epoch" in outcome.divergence
    assert "\n" not in outcome.divergence
    assert len(outcome.epochs) < 10
    assert outcome.epochs == told
    assert all(epoch.loss < INF for epoch in outcome.epochs)
    assert outcome.train_seconds > 0
    assert outcome.num_images > 0


@pytest.mark.parametrize("value", [NAN, INF])
def test_a_broken_weight_diverges_in_the_first_epoch(
    value: float,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    model = compress("stable_rps")
    with torch.no_grad():
        model.stored[0] = value
    outcome = train(model, make_dataset(), make_recipe(), 0, "fp32")
    assert outcome.divergence is not None
    assert "epoch 1" in outcome.divergence
    assert outcome.epochs == []


def answer(monkeypatch: pytest.MonkeyPatch, losses: Callable[[int], float]) -> list[int]:
    """Let the loss of each step, counted from 1, be a number; returns the steps taken."""
    steps: list[int] = []

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        steps.append(trainer.step + 1)
        return torch.tensor(losses(trainer.step + 1))

    monkeypatch.setattr(Trainer, "train_step", step)
    return steps


@pytest.mark.parametrize("value", [NAN, INF])
def test_one_bad_step_ends_the_run_and_keeps_the_epochs_before(
    value: float,
    monkeypatch: pytest.MonkeyPatch,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    steps = answer(monkeypatch, lambda step: value if step == 103 else 0.5)
    dataset, recipe = make_dataset(num_train=50), make_recipe(epochs=4, batch_size=1)
    outcome = train(compress("mag"), dataset, recipe, 0, "fp32")
    assert [epoch.epoch for epoch in outcome.epochs] == [1, 2]
    assert [epoch.train_loss for epoch in outcome.epochs] == [0.5, 0.5]
    assert outcome.divergence is not None
    assert "epoch 3" in outcome.divergence
    assert 103 <= steps[-1] <= 103 + CHECK_EVERY  # seen soon, not at the epoch's end
    assert outcome.num_images == steps[-1]


def test_a_bad_last_step_is_seen(
    monkeypatch: pytest.MonkeyPatch,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    answer(monkeypatch, lambda step: NAN if step == 10 else 0.5)
    outcome = train(compress("mag"), make_dataset(), make_recipe(), 0, "fp32")
    assert len(outcome.epochs) == 1
    assert outcome.divergence is not None
    assert "epoch 2" in outcome.divergence


def test_a_large_finite_loss_is_no_divergence(
    monkeypatch: pytest.MonkeyPatch,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    answer(monkeypatch, lambda step: 3e37)  # their sum over 37 images is more than fp32 can hold
    outcome = train(compress("mag"), make_dataset(), make_recipe(), 0, "fp32")
    assert outcome.divergence is None
    assert outcome.epochs[-1].train_loss == pytest.approx(3e37)


@pytest.mark.parametrize("value", [NAN, INF])
def test_a_test_loss_that_is_not_finite_is_a_divergence(
    value: float,
    monkeypatch: pytest.MonkeyPatch,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    results = iter([Evaluation(30.0, 1.0, [3]), Evaluation(10.0, value, [1])])
    monkeypatch.setattr(loop, "evaluate", lambda *_: next(results))
    told: list[EpochResult] = []
    recipe = make_recipe(epochs=5)
    outcome = train(compress("mag"), make_dataset(), recipe, 0, "fp32", on_epoch=told.append)
    assert [epoch.accuracy for epoch in outcome.epochs] == [30.0]
    assert told == outcome.epochs
    assert outcome.divergence is not None
    assert "test loss" in outcome.divergence
    assert "epoch 2" in outcome.divergence
    assert outcome.num_images == 74


def test_broken_running_statistics_show_in_the_test_loss(
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    """Train mode hides a broken running variance, evaluation does not."""
    model = compress("mag")
    model.skeleton.get_buffer("bn.running_var").fill_(NAN)
    outcome = train(model, make_dataset(), make_recipe(), 0, "fp32")
    assert outcome.epochs == []
    assert outcome.divergence is not None
    assert "test loss nan after epoch 1" in outcome.divergence


def test_other_errors_are_not_swallowed(
    monkeypatch: pytest.MonkeyPatch,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    def step(*_: object) -> torch.Tensor:
        raise FloatingPointError("mine")

    monkeypatch.setattr(Trainer, "train_step", step)
    with pytest.raises(FloatingPointError, match="mine"):
        train(compress("mag"), make_dataset(), make_recipe(), 0, "fp32")

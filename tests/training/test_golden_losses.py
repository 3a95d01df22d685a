"""The losses of a 20-step run, pinned: a refactor that changes one of them changes results.

STABLE-RPS at compression 10, ResNet-20 eight channels wide, 100 digits at 16x16, batches of 20,
one-cycle rate, seed 0. A change on purpose pins new numbers and says so in the changelog.
"""

from collections.abc import Callable

import pytest
import torch

from rps_bench.datasets.base import Dataset
from rps_bench.methods import build_method
from rps_bench.models import build_model
from rps_bench.training.loop import Trainer
from rps_bench.training.recipe import Recipe
from rps_bench.training.state import Outcome
from tests.training.train import train

# Peak rate 0.02. Rounding of 1e-15 in theta grows to 4e-12 in these losses.
DOUBLE = [
    2.680951042008004,
    2.387406103492984,
    2.845458389257659,
    2.932500749335278,
    2.289644120436101,
    2.677957245082275,
    2.487350932312809,
    2.616554576225029,
    2.230412279085582,
    2.58378603711908,
    2.330958431308593,
    2.402487953572452,
    2.191950540412145,
    2.440768882725297,
    2.50302117915274,
    2.275790600573095,
    2.611023935029973,
    2.334506618237865,
    2.204213807186961,
    2.480528400833746,
]
DOUBLE_TEST = [
    2.309100037870051,
    2.304136153592129,
    2.319748157495887,
    2.328759658408035,
]
# Peak rate 0.002. Rounding of 1e-7 in theta grows to 2e-5; at 0.02 it would grow to 2e-2.
SINGLE = [
    2.5169637,
    2.8972635,
    2.7393885,
    2.6401877,
    3.0279121,
    2.4909391,
    2.873528,
    2.6752849,
    2.7354031,
    2.8469548,
    2.8297679,
    2.5032277,
    2.5711646,
    2.8714314,
    2.7874761,
    2.6464412,
    2.6370726,
    2.8873179,
    2.8283765,
    2.5854113,
]
SINGLE_TEST = [
    2.3211324,
    2.326409,
    2.3469257,
    2.3684029,
]


@pytest.fixture
def run(
    digits: Dataset, make_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> Callable[[torch.dtype, float], tuple[list[float], Outcome]]:
    """(dtype, peak rate) -> the loss of each step, and the outcome."""

    def go(dtype: torch.dtype, lr: float) -> tuple[list[float], Outcome]:
        losses: list[float] = []
        original = Trainer.train_step

        def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            loss = original(trainer, images, labels)
            losses.append(float(loss.detach()))
            return loss

        monkeypatch.setattr(Trainer, "train_step", step)
        model = build_model("resnet20", 10, 8, torch.Generator().manual_seed(0)).to(dtype)
        no_probe = (torch.empty(0), torch.empty(0))
        compressed = build_method("stable_rps", 10, seed=0).compress(model, no_probe)
        recipe = make_recipe(epochs=4, batch_size=20, lr=lr)
        return losses, train(compressed, digits, recipe, 0, "fp32")

    return go


def test_losses_in_float64(
    run: Callable[[torch.dtype, float], tuple[list[float], Outcome]],
) -> None:
    losses, outcome = run(torch.float64, 0.02)
    assert losses == pytest.approx(DOUBLE, rel=1e-9)
    assert [epoch.loss for epoch in outcome.epochs] == pytest.approx(DOUBLE_TEST, rel=1e-9)
    means = [sum(DOUBLE[first : first + 5]) / 5 for first in (0, 5, 10, 15)]
    assert [epoch.train_loss for epoch in outcome.epochs] == pytest.approx(means, rel=1e-9)


def test_losses_in_float32(
    run: Callable[[torch.dtype, float], tuple[list[float], Outcome]],
) -> None:
    losses, outcome = run(torch.float32, 0.002)
    assert losses == pytest.approx(SINGLE, rel=1e-3)
    assert [epoch.loss for epoch in outcome.epochs] == pytest.approx(SINGLE_TEST, rel=1e-3)

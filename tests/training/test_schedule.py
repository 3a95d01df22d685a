"""Learning rates against numbers worked out by hand."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from rps_bench.training.recipe import Recipe
from rps_bench.training.schedule import learning_rate, one_cycle

# Spec section 8: epochs, lr, drops, factor, steps per epoch, and {first epoch: rate from there on}.
PAPER_ROWS = {
    "cifar resnet20": (160, 0.1, (80, 120), 0.1, 391, {0: 0.1, 80: 0.01, 120: 0.001}),
    "cifar vgg11": (160, 0.1, (60, 120), 0.1, 391, {0: 0.1, 60: 0.01, 120: 0.001}),
    "tiny imagenet": (
        100,
        0.01,
        (30, 60, 80),
        0.2,
        782,
        {0: 0.01, 30: 0.002, 60: 0.0004, 80: 0.00008},
    ),
}


@pytest.mark.parametrize("row", PAPER_ROWS)
def test_step_rates_of_the_paper_drop_exactly_at_their_epochs(
    row: str, make_recipe: Callable[..., Recipe]
) -> None:
    epochs, lr, drops, factor, per_epoch, expected = PAPER_ROWS[row]
    recipe = make_recipe(schedule="step", epochs=epochs, lr=lr, drops=drops, factor=factor)
    rate = 0.0
    for epoch in range(epochs):
        rate = expected.get(epoch, rate)
        for step in (0, 1, per_epoch // 2, per_epoch - 1):
            found = learning_rate(recipe, epoch * per_epoch + step, per_epoch)
            assert found == pytest.approx(rate, rel=1e-12), (epoch, step)


def test_step_without_drops_is_constant(make_recipe: Callable[..., Recipe]) -> None:
    recipe = make_recipe(schedule="step", epochs=5, lr=0.3)
    assert {learning_rate(recipe, step, 4) for step in range(20)} == {0.3}


def test_two_drops_at_one_epoch_multiply_twice(make_recipe: Callable[..., Recipe]) -> None:
    recipe = make_recipe(schedule="step", epochs=5, lr=1.0, drops=(2, 2), factor=0.5)
    assert learning_rate(recipe, 2, 1) == 0.25


@pytest.mark.parametrize(
    ("progress", "rate"),
    [
        (0.0, 0.2),
        (0.05, 0.65),
        (0.1, 1.1),
        (0.15, 1.55),
        (0.2, 2.0),
        (0.4, 1.7071067811865475),  # 1 + cos 45 degrees
        (0.6, 1.0),
        (0.8, 0.2928932188134524),
        (1.0, 0.0),
    ],
)
def test_one_cycle_by_hand(progress: float, rate: float) -> None:
    assert one_cycle(2.0, progress) == pytest.approx(rate, rel=1e-12, abs=1e-15)


def test_one_cycle_is_continuous_where_the_warm_up_ends() -> None:
    assert one_cycle(0.1, 0.2 - 1e-9) == pytest.approx(0.1, rel=1e-7)
    assert one_cycle(0.1, 0.2 + 1e-9) == pytest.approx(0.1, rel=1e-7)


def test_one_cycle_rises_to_its_peak_then_falls() -> None:
    rates = [one_cycle(0.1, step / 1000) for step in range(1001)]
    top = rates.index(max(rates))
    assert top == 200
    assert rates[top] == pytest.approx(0.1, rel=1e-12)
    assert all(low < high for low, high in pairwise(rates[: top + 1]))
    assert all(high > low for high, low in pairwise(rates[top:]))


def test_one_cycle_spans_all_steps_of_the_recipe(make_recipe: Callable[..., Recipe]) -> None:
    recipe = make_recipe(schedule="one_cycle", epochs=5, lr=0.1)
    rates = [learning_rate(recipe, step, 10) for step in range(51)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[5] == pytest.approx(0.055)
    assert rates[10] == pytest.approx(0.1)
    assert rates[30] == pytest.approx(0.05)
    assert rates[49] == pytest.approx(1.54133e-4, rel=1e-5)  # 0.05 (1 + cos 175.5 degrees)
    assert rates[50] == pytest.approx(0.0, abs=1e-15)
    assert all(rate > 0 for rate in rates[:50])


def test_one_cycle_ignores_where_an_epoch_ends(make_recipe: Callable[..., Recipe]) -> None:
    few, many = make_recipe(epochs=2), make_recipe(epochs=10)
    for step in range(20):
        assert learning_rate(few, step, 10) == learning_rate(many, step, 2)

"""Estimates of time from the records of the likest runs."""

from typing import Any

import pytest

from rps_bench.sweep.estimate import estimate_seconds, format_seconds
from rps_bench.sweep.planning import plan_runs

NUM_DIGITS = 1437  # training images


def fake(method: str, compression: float, seconds: float, epochs: int, **cost: Any) -> Any:
    return {
        "config": {
            "dataset": "digits",
            "arch": "resnet20",
            "method": method,
            "compression": compression,
            "arch_options": {"width": None},
            "recipe_options": {"epochs": epochs},
        },
        "cost": {"train_seconds": seconds, **cost},
    }


def test_the_estimate_takes_the_likest_runs() -> None:
    words = ["method=mag", "compression=4", "recipe=quick"]
    (config,) = plan_runs(words, False).configs
    records = [fake("snip", 4, 300.0, 3)]
    assert estimate_seconds(config, 2, records) == pytest.approx(200)  # 100 s an epoch
    records += [fake("mag", 8, 30.0, 3), fake("mag", 16, 60.0, 3), fake("mag", 32, 90.0, 3)]
    assert estimate_seconds(config, 2, records) == pytest.approx(40)  # the median of its own method
    records += [fake("mag", 4, 7.0, 1)]
    assert estimate_seconds(config, 2, records) == pytest.approx(14)
    assert estimate_seconds(config, 0, records) == 0.0
    assert estimate_seconds(config, 2, []) is None
    elsewhere = fake("mag", 4, 7.0, 1)
    elsewhere["config"]["arch"] = "vgg11"
    assert estimate_seconds(config, 2, [elsewhere]) is None


def test_times_of_other_image_sizes_say_nothing() -> None:
    words = ["method=mag", "compression=4", "recipe=quick"]
    (whole,) = plan_runs(words, False).configs
    (small,) = plan_runs([*words, "dataset.image_size=16"], False).configs
    records = [fake("mag", 4, 20.0, 1), fake("mag", 4, 5.0, 1)]
    records[1]["config"]["dataset_options"] = {"image_size": 16}
    assert estimate_seconds(whole, 1, records) == pytest.approx(20)
    assert estimate_seconds(small, 1, records) == pytest.approx(5)
    assert estimate_seconds(small, 1, records[:1]) is None
    narrow = fake("mag", 4, 1.0, 1)
    narrow["config"]["arch_options"] = {"width": 2}
    (config,) = plan_runs([*words, "arch.width=2"], False).configs
    assert estimate_seconds(config, 2, [*records, narrow]) == pytest.approx(2)


def test_an_epoch_that_is_cut_short_takes_less() -> None:
    words = ["method=mag", "recipe=quick", "recipe.max_steps_per_epoch=5", "recipe.batch_size=10"]
    (config,) = plan_runs(words, False).configs
    seconds = estimate_seconds(config, 1, [fake("mag", 10, 10.0, 1)])
    assert seconds == pytest.approx(10.0 * 50 / NUM_DIGITS)


def test_the_times_of_a_chain_are_those_of_all_its_epochs() -> None:
    (config,) = plan_runs(["method=ltr", "compression=10", "recipe=quick"], False).configs
    records = [fake("ltr", 10, 10.0, 2, total_train_seconds=120.0, total_epochs=24.0)]
    assert estimate_seconds(config, 3, records) == pytest.approx(15)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown"), (0.4, "0 s"), (119.0, "119 s"), (600.0, "10 min"), (36_000.0, "10.0 h")],
)
def test_times_read_well(seconds: float | None, text: str) -> None:
    assert format_seconds(seconds) == text

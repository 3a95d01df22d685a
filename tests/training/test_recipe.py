"""A recipe accepts what is possible and names the option of what is not."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, fields
from typing import Any

import pytest

from rps_bench.core.errors import UserError
from rps_bench.core.shown import show
from rps_bench.training.recipe import RECIPE_KEYS, SCHEDULES, Recipe

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("epochs", 0),
        ("epochs", -3),
        ("batch_size", 0),
        ("max_steps_per_epoch", 0),
        ("max_steps_per_epoch", -1),
        ("lr", 0.0),
        ("lr", -0.1),
        ("lr", NAN),
        ("lr", INF),
        ("momentum", -0.1),
        ("momentum", 1.0),
        ("momentum", NAN),
        ("weight_decay", -1e-4),
        ("weight_decay", INF),
        ("weight_decay", NAN),
        ("factor", 0.0),
        ("factor", 1.5),
        ("factor", NAN),
        ("schedule", "cosine"),
        ("schedule", ""),
        ("drops", (0,)),
        ("drops", (5, -1)),
        ("drops", (1.5,)),
        ("epochs", 2.5),
        ("epochs", NAN),
        ("epochs", True),
        ("batch_size", "8"),
        ("max_steps_per_epoch", 2.0),
        ("lr", "0.1"),
        ("lr", True),
        ("lr", None),
        ("momentum", None),
        ("nesterov", "no"),
        ("nesterov", 1),
        ("name", ""),
    ],
)
def test_a_value_out_of_range_names_its_option_in_one_line(
    option: str, value: Any, make_recipe: Callable[..., Recipe]
) -> None:
    with pytest.raises(UserError) as caught:
        make_recipe(**{option: value})
    message = str(caught.value)
    assert message.startswith(f"recipe.{option} ")
    assert "\n" not in message
    wrong = next(x for x in value if x < 2) if isinstance(value, tuple) else value
    assert f", got {show(wrong)}" in message


def test_an_unknown_schedule_names_the_allowed_ones(make_recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(UserError) as caught:
        make_recipe(schedule="linear")
    assert all(name in str(caught.value) for name in ("step", "one_cycle"))
    assert set(SCHEDULES) == {"step", "one_cycle"}


def test_nesterov_without_momentum_names_both(make_recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(UserError, match=r"recipe\.nesterov.*recipe\.momentum"):
        make_recipe(nesterov=True, momentum=0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"momentum": 0.0},
        {"weight_decay": 0.0},
        {"factor": 1.0},
        {"epochs": 1, "batch_size": 1},
        {"drops": (1, 2, 3), "schedule": "step", "epochs": 4},
        {"max_steps_per_epoch": 1},
        {"nesterov": True, "momentum": 0.5},
    ],
)
def test_the_ends_of_the_ranges_are_allowed(
    changes: dict[str, Any], make_recipe: Callable[..., Recipe]
) -> None:
    recipe = make_recipe(**changes)
    assert all(getattr(recipe, option) == value for option, value in changes.items())


def test_a_recipe_cannot_be_changed(make_recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(FrozenInstanceError):
        make_recipe().lr = 1.0  # type: ignore[misc]


def test_the_keys_are_the_fields() -> None:
    assert tuple(field.name for field in fields(Recipe)) == RECIPE_KEYS


def test_yaml_values_become_the_fields_types(make_recipe: Callable[..., Recipe]) -> None:
    expected = make_recipe(schedule="step", drops=(80, 120), epochs=160, lr=1.0, weight_decay=0.0)
    values = asdict(expected) | {"drops": [80, 120], "lr": 1, "weight_decay": 0}
    before = dict(values)
    found = Recipe.from_values(values)
    assert found == expected
    assert (type(found.lr), type(found.weight_decay)) == (float, float)
    assert isinstance(found.drops, tuple)
    assert values == before


@pytest.mark.parametrize("drops", [80, "80, 120", None, [80, "120"], [[80]]])
def test_drops_must_be_a_list_of_epochs(drops: Any, make_recipe: Callable[..., Recipe]) -> None:
    with pytest.raises(UserError, match=r"^recipe\.drops must be"):
        Recipe.from_values(asdict(make_recipe()) | {"drops": drops})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": "one_cycle", "drops": (1,), "epochs": 4}, r"needs recipe\.schedule=step"),
        ({"schedule": "step", "drops": (2, 4), "epochs": 4}, r"before the last of 4 epochs"),
        ({"schedule": "step", "drops": (0,), "epochs": 4}, r"whole number from 1 up"),
    ],
)
def test_drops_that_would_do_nothing_are_refused(
    changes: dict[str, Any], words: str, make_recipe: Callable[..., Recipe]
) -> None:
    with pytest.raises(UserError, match=words):
        make_recipe(**changes)


def test_checking_a_recipe_imports_no_torch() -> None:
    script = "import sys, rps_bench.training.recipe; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

"""How learning rates are searched for: the checks of the table ``tune``. Imports no torch."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rps_bench.config import Search
from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.nearest import unknown_name
from rps_bench.core.shown import show
from rps_bench.training.recipe import Recipe
from rps_bench.tuning.search import CHOSEN_WITH_RATE, FEWEST_TRIALS, MOST_TRIALS


def read_search(table: object, recipe: Recipe) -> Search:
    """What the table ``tune`` of a run's config says of the search.

    Args:
        table: As it was composed.
        recipe: Of the run, whose settings the search may try other values of.

    Raises:
        UserError: A bad value, or settings to try that make no recipe.
    """
    names = tuple(field.name for field in fields(Search))
    if not isinstance(table, Mapping):
        raise UserError(f"tune must be a table of {', '.join(names)}, got {show(table)}")
    checks.keys("tune.", table, names)
    seed, choices, over = table["seed"], table["choices"], table["over"]
    if seed is not None:
        seed = checks.seed("tune.seed", seed, "null or ")
    search = Search(
        trials=checks.whole_number("tune.trials", table["trials"], FEWEST_TRIALS, MOST_TRIALS),
        seed=seed,
        choices=None if choices is None else checks.path("tune.choices", choices),
        over=_search_over(over, recipe),
    )
    for settings in search.combinations:
        _tried(recipe, settings)
    return search


def _tried(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """The recipe with settings that the search tries.

    Raises:
        UserError: They, or all of them together, make no recipe.
    """
    try:
        return recipe.with_values(settings)
    except UserError as error:
        raise UserError(f"tune.over tries {show(dict(settings))}: {error}") from None


def _search_over(table: object, recipe: Recipe) -> tuple[tuple[str, tuple[bool | float, ...]], ...]:
    """Settings of the recipe that are chosen with the rate, each with its values, by name."""
    if table is None:
        return ()
    if not isinstance(table, Mapping):
        checks.refuse("tune.over", "null or a table such as {weight_decay: [1e-4, 5e-4]}", table)
    chosen = []
    for name, values in sorted(table.items(), key=lambda item: str(item[0])):
        key = f"tune.over.{name}"
        if name not in CHOSEN_WITH_RATE:
            raise unknown_name("key", key, [f"tune.over.{name}" for name in CHOSEN_WITH_RATE])
        if not isinstance(values, list) or not values:
            checks.refuse(key, "a list of values", values)
        tried = tuple(getattr(_tried(recipe, {name: value}), name) for value in values)
        own = getattr(recipe, name)
        if own not in tried:
            raise UserError(
                f"{key} must have the recipe's own value {show(own)} among those to try, got "
                f"{show(values)}"
            )
        chosen.append((name, tuple(dict.fromkeys(tried))))
    return tuple(chosen)

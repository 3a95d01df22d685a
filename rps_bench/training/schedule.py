"""Learning rates, as pure functions of the step."""

import math

from rps_bench.training.recipe import Recipe

WARM_UP_SHARE = 0.2  # of all steps of a one-cycle schedule
START_DIVISOR = 10.0  # a one-cycle schedule starts at lr / 10


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step.

    Args:
        recipe: The recipe.
        step: Number of steps done before this one.
        steps_per_epoch: Steps of one epoch.
    """
    if recipe.schedule == "step":
        epochs_done = step // steps_per_epoch
        num_drops = sum(epochs_done >= drop for drop in recipe.drops)
        return recipe.lr * recipe.factor**num_drops
    return one_cycle(recipe.lr, step / (recipe.epochs * steps_per_epoch))


def one_cycle(peak: float, progress: float) -> float:
    """A linear rise from peak / 10, then a cosine to zero (Smith and Topin 2018).

    Args:
        peak: The highest rate.
        progress: Share of the training done, in [0, 1].
    """
    if progress < WARM_UP_SHARE:
        start = peak / START_DIVISOR
        return start + (peak - start) * progress / WARM_UP_SHARE
    remaining = (progress - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE)
    return peak * 0.5 * (1.0 + math.cos(math.pi * remaining))

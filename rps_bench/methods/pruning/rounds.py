"""Pruning in rounds: after round r of R keep n (m/n)^(r/R) weights, rescoring each time."""

import copy
import math
from collections.abc import Callable

import torch
from torch import nn

from rps_bench.methods.layout import (
    compressible_layers,
    flatten_weights,
    layout_of,
    split_weights,
    weight_of,
)
from rps_bench.methods.pruning.topk import keep_highest

Score = Callable[[nn.Module], torch.Tensor]  # a model with some weights at zero -> (n,) scores


def num_kept_after(round_number: int, num_rounds: int, num_weights: int, num_stored: int) -> int:
    """Weights kept after a round: exactly m after the last, never fewer before it."""
    if round_number == num_rounds:
        return num_stored
    share: float = (num_stored / num_weights) ** (round_number / num_rounds)
    return max(math.floor(num_weights * share), num_stored)


def prune_in_rounds(
    model: nn.Module, score: Score, num_stored: int, num_rounds: int
) -> torch.Tensor:
    """Positions of the weights that survive all rounds, ascending: (num_stored,) int64.

    Each round scores the model with the pruned weights at zero, and chooses among the survivors
    of the round before, so the masks are nested. ``model`` is left untouched.

    Raises:
        FloatingPointError: A score is NaN.
    """
    working = copy.deepcopy(model)
    num_weights = flatten_weights(working).numel()
    kept = torch.arange(num_weights)
    for round_number in range(1, num_rounds + 1):
        scores = score(working).detach()
        if torch.isnan(scores).any():
            raise FloatingPointError(f"pruning scores are NaN in round {round_number}")
        num_kept = num_kept_after(round_number, num_rounds, num_weights, num_stored)
        kept = kept.to(scores.device)
        kept = kept[keep_highest(scores[kept], num_kept)]
        _zero_all_but(working, kept)
    return kept


def _zero_all_but(model: nn.Module, kept: torch.Tensor) -> None:
    """Set the weights at all other flat positions to zero, in place."""
    flat = flatten_weights(model)
    survivors = torch.zeros_like(flat)
    survivors[kept] = flat[kept]
    pieces = split_weights(survivors, layout_of(model))
    with torch.no_grad():
        for (_, layer), piece in zip(compressible_layers(model), pieces, strict=True):
            weight_of(layer).copy_(piece)

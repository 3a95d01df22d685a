"""Pruning in rounds: after round r of R keep n (m/n)^(r/R) weights, rescoring each time."""

import copy
import math
from collections.abc import Callable

import torch
from torch import nn

from rps_bench.core.errors import ExplainedError
from rps_bench.methods.cautions import warn
from rps_bench.methods.choice import chosen_names, mark
from rps_bench.methods.layout import (
    compressible_weights,
    flatten_weights,
    layout_of,
    split_weights,
)
from rps_bench.methods.pruning.topk import keep_highest

MOST_UNDECIDED = 0.1  # of the kept weights, where scores are zero: dead units leave some anywhere

Score = Callable[[nn.Module], torch.Tensor]  # a model with some weights at zero -> (n,) scores


class ScoreError(ExplainedError, FloatingPointError):
    """Scores that choose no mask: NaN, beyond the range of their type, or all zero."""


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
    of the round before, so the masks are nested. ``model`` is left untouched. If many weights that
    score zero survive where others that do are pruned, a `CompressionWarning` says so.

    Raises:
        ScoreError: A score is NaN or infinite, or those of the whole network are all zero.
    """
    working = copy.deepcopy(model)
    mark(working, chosen_names(model))  # so that it is decided once
    num_weights = flatten_weights(working).numel()
    kept = torch.arange(num_weights)
    num_zeros_pruned = 0
    for round_number in range(1, num_rounds + 1):
        scores = score(working).detach()
        _require_usable(scores, round_number)
        if round_number == 1 and num_stored < num_weights:
            _require_choice(scores, model)
        num_kept = num_kept_after(round_number, num_rounds, num_weights, num_stored)
        kept = kept.to(scores.device)
        num_zeros_before = _count_zeros(scores[kept])
        kept = kept[keep_highest(scores[kept], num_kept)]
        num_zeros = _count_zeros(scores[kept])
        num_zeros_pruned += num_zeros_before - num_zeros
        _zero_all_but(working, kept)
    if num_zeros > MOST_UNDECIDED * num_stored and num_zeros_pruned:
        warn(
            f"{num_zeros:,} of the {num_stored:,} weights that are kept score exactly zero, as do "
            f"{num_zeros_pruned:,} that are pruned: which of them is decided by their place alone"
        )
    return kept


def _require_usable(scores: torch.Tensor, round_number: int) -> None:
    if torch.isnan(scores).any():
        raise ScoreError(f"pruning scores are NaN in round {round_number}")
    if torch.isinf(scores).any():
        raise ScoreError(
            f"pruning scores overflow {scores.dtype} in round {round_number}: the network's "
            "weights are too large for its depth"
        )


def _require_choice(scores: torch.Tensor, model: nn.Module) -> None:
    if scores.any():
        return
    line = (
        "pruning scores are all zero: no weight has an effect on what is scored, or the network's "
        f"weights are too small for its depth in {scores.dtype}"
    )
    closed = [name for name, weight in compressible_weights(model).items() if not weight.any()]
    if closed:
        line = (
            f"pruning scores are all zero: nothing passes {closed[0]}, which starts at zero; draw "
            "it before compressing"
        )
    raise ScoreError(line)


def _count_zeros(scores: torch.Tensor) -> int:
    return int((scores == 0).sum())


def _zero_all_but(model: nn.Module, kept: torch.Tensor) -> None:
    """Set the weights at all other flat positions to zero, in place."""
    flat = flatten_weights(model)
    survivors = torch.zeros_like(flat)
    survivors[kept] = flat[kept]
    pieces = split_weights(survivors, layout_of(model))
    with torch.no_grad():
        for weight, piece in zip(compressible_weights(model).values(), pieces, strict=True):
            weight.copy_(piece)

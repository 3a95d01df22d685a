"""Networks that store some of their own weights as they are: all of them, or a selection."""

from collections.abc import Callable

import torch
from torch import nn

from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.rounds import ScoreError
from rps_bench.methods.pruning.topk import keep_highest
from rps_bench.methods.weight_map import IdentityMap, SelectionMap

StoredScore = Callable[[CompressedModel], torch.Tensor]  # -> (m,) scores of its stored values


def store_everything(model: nn.Module) -> CompressedModel:
    """The network itself: A = I."""
    weights = flatten_weights(model)
    return CompressedModel(model, IdentityMap(weights.numel()), weights)


def magnitude_of_stored(compressed: CompressedModel) -> torch.Tensor:
    """(m,) abs(theta)."""
    return compressed.stored.detach().abs()


def highest_stored(compressed: CompressedModel, score: StoredScore, num_kept: int) -> torch.Tensor:
    """Rows of the stored values that score highest, ties by lower position: (num_kept,) int64.

    Raises:
        ScoreError: A score is NaN or infinite.
    """
    scores = score(compressed).detach()
    assert scores.shape == compressed.stored.shape
    if not scores.isfinite().all():
        raise ScoreError("scores of trained weights are NaN or infinite")
    return keep_highest(scores, num_kept)


def prune_to(
    model: nn.Module,
    compressed: CompressedModel,
    num_kept: int,
    score: StoredScore = magnitude_of_stored,
) -> CompressedModel:
    """A network that stores only the stored values of a dense or pruned one that score highest.

    Raises:
        ScoreError: A score is NaN or infinite.
    """
    return prune_stored(model, compressed, highest_stored(compressed, score, num_kept))


def prune_stored(
    model: nn.Module, compressed: CompressedModel, rows: torch.Tensor
) -> CompressedModel:
    """A network that stores only these rows of a dense or pruned one's stored values.

    Args:
        model: A dense network of the same kind: its biases and BatchNorm are taken.
        compressed: Whose stored values are weights at their own places: dense or pruned.
        rows: (k,) int64, ascending.
    """
    slots = compressed.weight_map.slots()
    places = (slots >= 0).nonzero().view(-1)[rows]  # in the flat w; stored values are in its order
    return CompressedModel(
        model, SelectionMap(slots.numel(), places), compressed.stored.detach()[rows]
    )

"""How the repository theta starts: drawn, or fitted to the dense init."""

import math
from collections.abc import Callable

import torch

from rps_bench.core.seeds import named_generator
from rps_bench.methods.weight_map import WeightMap


def draw_normal(
    weight_map: WeightMap, weights: torch.Tensor, init_std: float, seed: int
) -> torch.Tensor:
    """(m,) from Normal(0, init_std): recovered weights have the dense std."""
    draws = torch.empty(weight_map.num_stored, dtype=weights.dtype)
    return draws.normal_(0.0, init_std, generator=named_generator(seed, "repository")).to(
        weights.device
    )


def draw_matched(
    weight_map: WeightMap, weights: torch.Tensor, init_std: float, seed: int
) -> torch.Tensor:
    """(m,) from Normal(0, init_std / sqrt(n / m)): the norm that uniform pruning to m leaves.

    Before BatchNorm the norm sets how far a step turns the weights, so that a shared network turns
    as fast at first as a randomly pruned one of its size. At n = m these are the draws of
    ``normal``.
    """
    ratio = weight_map.num_weights / weight_map.num_stored
    return draw_normal(weight_map, weights, init_std / math.sqrt(ratio), seed)


def draw_uniform(
    weight_map: WeightMap, weights: torch.Tensor, init_std: float, seed: int
) -> torch.Tensor:
    """(m,) from U(-init_std, init_std), as the published code: recovered std 1/sqrt(3) of dense."""
    draws = torch.empty(weight_map.num_stored, dtype=weights.dtype)
    generator = named_generator(seed, "repository")
    return draws.uniform_(-init_std, init_std, generator=generator).to(weights.device)


def project(
    weight_map: WeightMap, weights: torch.Tensor, init_std: float, seed: int
) -> torch.Tensor:
    """(m,) gram^-1 A' w0: the least-squares fit of the dense init, 0 in unused slots."""
    gram = weight_map.gram()
    return weight_map.reduce(weights) / torch.where(gram > 0, gram, 1.0)


REPOSITORY_INITS: dict[str, Callable[[WeightMap, torch.Tensor, float, int], torch.Tensor]] = {
    "normal": draw_normal,
    "uniform": draw_uniform,
    "project": project,
    "matched": draw_matched,
}

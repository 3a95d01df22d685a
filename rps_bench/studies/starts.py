"""The norm that a method leaves a layer's weights at the start, and how far its first step turns.

|w|^2 is given relative to the dense network's, which has independent normal weights. Where a
method's scores depend on the images or on other layers, as for snip and synflow, there is no closed
form.
"""

import math
from collections.abc import Sequence

import torch
from scipy.optimize import brentq
from scipy.stats import norm

from rps_bench.methods.base import Method
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.dense import Dense
from rps_bench.methods.layout import Layout, layer_ranges, layer_sizes, num_weights
from rps_bench.methods.pruning.magnitude import Magnitude
from rps_bench.methods.pruning.quotas import layer_quotas
from rps_bench.methods.pruning.random import UNIFORM, RandomPruning
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.weight_map import WeightMap


def expected_ratios(method: Method, layout: Layout, stds: Sequence[float]) -> list[float]:
    """The expected |w|^2 / |w dense|^2 of each layer; nan where no closed form is known.

    Args:
        method: At its compression.
        layout: The layer table.
        stds: The dense init's std of each layer.
    """
    share = method.num_stored(layout) / num_weights(layout)
    if isinstance(method, SharingMethod):
        by_start = {"normal": 1.0, "uniform": 1 / 3, "matched": share}
        return [by_start.get(method.repository_init, math.nan)] * len(layout)
    if isinstance(method, Dense):
        return [1.0] * len(layout)
    if isinstance(method, RandomPruning) and method.density == UNIFORM:
        return [share] * len(layout)
    if isinstance(method, RandomPruning):
        quotas = layer_quotas(method.density, layout, method.num_stored(layout))
        return [kept / size for kept, size in zip(quotas, layer_sizes(layout), strict=True)]
    if isinstance(method, Magnitude):
        return magnitude_ratios(layer_sizes(layout), stds, method.num_stored(layout))
    return [math.nan] * len(layout)


def magnitude_ratios(sizes: Sequence[int], stds: Sequence[float], num_kept: int) -> list[float]:
    """The share of |w|^2 that the largest of all weights hold in each layer, for normal weights.

    One threshold t keeps num_kept weights in all: a layer of std s keeps P(|z| > t / s) of its
    weights, z standard normal, and E[z^2; |z| > t / s] of its |w|^2.
    """
    if num_kept == sum(sizes):
        return [1.0] * len(sizes)

    def excess(threshold: float) -> float:
        kept = [size * 2 * norm.sf(threshold / s) for size, s in zip(sizes, stds, strict=True)]
        return float(sum(kept)) - num_kept

    threshold = brentq(excess, 0.0, 10 * max(stds))
    cuts = [threshold / std for std in stds]
    return [float(2 * (cut * norm.pdf(cut) + norm.sf(cut))) for cut in cuts]


def ratio_stds(model: CompressedModel, is_shared: bool) -> list[float]:
    """The relative standard deviation by chance of each layer's |w|^2 / |w dense|^2.

    Shared weights are as few independent normal numbers as the slots that a layer reads; kept ones
    are a random choice of the dense ones. For magnitude pruning it is an upper bound.
    """
    slots = model.weight_map.slots()
    found = []
    for start, stop in layer_ranges(model.layout):
        own = slots[start:stop]
        loads = torch.bincount(own[own >= 0]).double()
        size, kept = stop - start, float(loads.sum())
        if kept == 0:
            found.append(math.nan)
        elif is_shared:
            found.append(math.sqrt(2 * float(loads.square().sum()) / kept**2 + 2 / size))
        else:
            found.append(math.sqrt(3 * (1 - kept / size) / kept))
    return found


def expected_steps(
    weight_map: WeightMap, scale: torch.Tensor, layout: Layout, gradients: torch.Tensor
) -> torch.Tensor:
    """(L,) expected |A S^-1 A' g| of each layer: the part of the gradient that a step can follow.

    Exact on average for a gradient whose entries are uncorrelated and as large everywhere in a
    layer. Pruning leaves the layer's density of |g|^2, sharing with gram about 1/c of it.

    Args:
        weight_map: A.
        scale: (m,) s.
        layout: The layer table.
        gradients: (L,) |g| of each layer.
    """
    ranges, sizes = layer_ranges(layout), torch.tensor(layer_sizes(layout))
    entries = (gradients.double().square() / sizes).repeat_interleave(sizes)  # mean g_i^2
    squares = weight_map.coefficients().double().square()
    slots = weight_map.slots()
    by_slot = weight_map.slot_sums(squares * entries) / scale.double().square()
    energies = torch.where(slots >= 0, squares * by_slot[slots.clamp(min=0)], 0.0)
    return torch.stack([energies[start:stop].sum().sqrt() for start, stop in ranges])

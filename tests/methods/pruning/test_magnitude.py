"""Magnitude and random pruning against plain sorts and counts."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights, layer_sizes, layout_of
from rps_bench.models import build_model


@pytest.mark.parametrize("rounds", [1, 5])
def test_magnitude_is_a_sort(rounds: int, resnet: nn.Module, probe: Probe) -> None:
    weights = flatten_weights(resnet).numpy()
    m = weights.size // 20
    order = np.argsort(-np.abs(weights), kind="stable")[:m]
    compressed = build_method("mag", 20, rounds=rounds).compress(resnet, probe)
    kept = (compressed.weight_map.slots() >= 0).nonzero().view(-1)
    assert kept.tolist() == sorted(order.tolist())
    assert compressed.stored.tolist() == weights[sorted(order)].tolist()


def test_random_pruning_is_uniform_over_layers(probe: Probe) -> None:
    model = build_model("resnet20", 10, 8, torch.Generator().manual_seed(0))
    compressed = build_method("rand", 10, seed=4).compress(model, probe)
    kept = (compressed.weight_map.slots() >= 0).double()
    for piece in kept.split_with_sizes(list(layer_sizes(layout_of(model)))):
        error = math.sqrt(0.1 * 0.9 / len(piece))
        assert abs(piece.mean().item() - 0.1) < 5 * error


def test_random_pruning_looks_at_the_seed_only(resnet: nn.Module, probe: Probe) -> None:
    def kept(seed: int, model: nn.Module, rounds: int = 1) -> list[int]:
        compressed = build_method("rand", 10, seed=seed, rounds=rounds).compress(model, probe)
        return compressed.weight_map.slots().tolist()

    other = build_model("resnet20", 10, 4, torch.Generator().manual_seed(9))
    assert kept(0, resnet) == kept(0, other) == kept(0, resnet, rounds=6)
    assert kept(0, resnet) != kept(1, resnet)


def test_random_masks_of_smaller_budgets_are_subsets(resnet: nn.Module, probe: Probe) -> None:
    few, many = (
        build_method("rand", c, seed=0).compress(resnet, probe).weight_map.slots() >= 0
        for c in (50, 5)
    )
    assert bool(many[few].all())

"""Magnitude pruning against a plain sort."""

import numpy as np
import pytest
from torch import nn

from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights


@pytest.mark.parametrize("rounds", [1, 5])
def test_magnitude_is_a_sort(rounds: int, resnet: nn.Module, probe: Probe) -> None:
    weights = flatten_weights(resnet).numpy()
    m = weights.size // 20
    order = np.argsort(-np.abs(weights), kind="stable")[:m]
    compressed = build_method("mag", 20, rounds=rounds).compress(resnet, probe)
    kept = (compressed.weight_map.slots() >= 0).nonzero().view(-1)
    assert kept.tolist() == sorted(order.tolist())
    assert compressed.stored.tolist() == weights[sorted(order)].tolist()

"""STABLE-RPS fitted to trained weights: what of them it keeps, and what goes on afterwards."""

import pytest
import torch
from torch import nn

from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.selection import store_everything

PROBE = (torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize("compression", [2, 10, 100])
def test_of_independent_weights_a_fit_keeps_one_part_in_c_of_the_energy(compression: int) -> None:
    """So the squared error is 1 - 1/c of it, and the error sqrt(1 - 1/c): 0.949 at 10x."""
    torch.manual_seed(3)
    layer = nn.Linear(500, 400, bias=False)
    nn.init.normal_(layer.weight)
    weights = flatten_weights(layer)
    fitted = (
        build_method("stable_rps_trained", compression).compress(layer, PROBE).weights().detach()
    )
    energy = weights.square().sum()
    assert abs(float(fitted.square().sum() / energy) - 1 / compression) < 0.01
    lost = float((fitted - weights).square().sum() / energy)
    assert abs(lost - (1 - 1 / compression)) < 0.01


def test_the_fit_is_that_of_the_project_init(plain: nn.Module, probe: Probe) -> None:
    """theta leaves an error that no column of the map has a part in."""
    after = build_method("stable_rps_trained", 10, seed=3).compress(plain, probe)
    before = build_method("stable_rps", 10, seed=3, repository_init="project")
    assert torch.equal(after.stored, before.compress(plain, probe).stored)
    assert after.scaling == "gram"
    residual = after.weights().detach() - flatten_weights(plain)
    assert float(after.weight_map.reduce(residual).abs().max()) < 1e-4


def test_trained_again_it_goes_on_with_the_stored_values(plain: nn.Module, probe: Probe) -> None:
    method = build_method("stable_rps_trained", 10)
    first = method.compress_trained(plain, store_everything(plain), 26, probe)
    with torch.no_grad():
        first.stored.add_(1.0)
        first.skeleton.get_parameter("5.bias").add_(1.0)
    second = method.compress_trained(plain, first, 26, probe)
    assert torch.equal(second.stored, first.stored)
    assert torch.equal(second.get_extra_state(), first.get_extra_state())
    with torch.no_grad():
        second.stored.zero_()
    assert first.stored.any(), "the network it came from was changed"

"""Every pruning method on networks of every kind: exact, repeatable, and the network untouched."""

import copy
import math

import pytest
import torch
from torch import nn

from rps_bench.methods import build_method
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.conditions import fixed_draws
from rps_bench.methods.pruning.grasp import Grasp
from tests.methods.pruning.odd_networks import (
    IMAGES,
    LABELS,
    NETWORKS,
    fused_attention,
    mlp,
    written_out_attention,
)

METHODS: dict[str, dict[str, object]] = {
    "rand": {},
    "mag": {},
    "snip": {},
    "snip, eval": {"score_mode": "eval"},
    "snip, probe": {"score_mode": "probe"},
    "snip, rounds": {"rounds": 2},
    "grasp": {},
    "grasp, eval": {"score_mode": "eval"},
    "synflow": {"rounds": 3},
}
# What a transformer leaves dense, and that its queries and keys score zero under SynFlow.
pytestmark = [
    pytest.mark.filterwarnings("ignore:the compression leaves"),
    pytest.mark.filterwarnings("ignore:.*score exactly zero"),
]


def make(kind: str) -> nn.Module:
    torch.manual_seed(2)
    return NETWORKS[kind][0]()


def kept_by(
    method: str,
    network: nn.Module,
    probe: tuple[torch.Tensor, torch.Tensor],
    compression: float = 2,
) -> list[int]:
    built = build_method(method.split(",")[0], compression, 3, **METHODS[method])
    kept: list[int] = (
        built.compress(network, probe).weight_map.slots().ge(0).nonzero().view(-1).tolist()
    )
    return kept


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_mask_of_the_seed_alone(kind: str, method: str) -> None:
    network, probe = make(kind), NETWORKS[kind][1]
    state = copy.deepcopy(network.state_dict())
    modes = [layer.training for layer in network.modules()]
    learns = [parameter.requires_grad for parameter in network.parameters()]
    torch.manual_seed(7)
    generator = torch.get_rng_state()
    kept = kept_by(method, network, probe)
    assert torch.equal(torch.get_rng_state(), generator)
    assert len(kept) == math.floor(flatten_weights(network).numel() / 2)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert [layer.training for layer in network.modules()] == modes
    assert [parameter.requires_grad for parameter in network.parameters()] == learns
    torch.manual_seed(8)
    assert kept_by(method, network, probe) == kept


@pytest.mark.parametrize("method", ["snip", "grasp"])
def test_dropout_is_drawn_from_the_methods_seed(method: str) -> None:
    network = make("dropout")
    masks = [
        build_method(method, 2, seed).compress(network, (IMAGES, LABELS)).weight_map.slots()
        for seed in (0, 1)
    ]
    assert not torch.equal(masks[0], masks[1])


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", METHODS)
def test_whatever_the_caller_is_in(method: str, guard: type[torch.no_grad]) -> None:
    network = make("plain")
    expected = kept_by(method, network, (IMAGES, LABELS))
    with guard():
        assert kept_by(method, network, (IMAGES.clone(), LABELS.clone())) == expected
        compressed = build_method("mag", 2).compress(network, (IMAGES, LABELS))
    assert compressed.stored.requires_grad
    compressed(IMAGES).sum().backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", ["snip", "grasp", "synflow"])
def test_half_precision_is_scored_as_the_same_network_in_float32(
    method: str, dtype: torch.dtype
) -> None:
    half = make("plain").to(dtype)
    images = IMAGES.to(dtype)
    wide = copy.deepcopy(half).float()
    assert kept_by(method, half, (images, LABELS)) == kept_by(
        method, wide, (images.float(), LABELS)
    )
    assert half[1].weight.dtype == dtype  # type: ignore[index]


@pytest.mark.parametrize(
    ("method", "compression"),
    # At 4x SynFlow keeps nothing of queries and keys: their scores are zero, but for rounding that
    # differs between processors.
    [("snip", 2), ("grasp", 2), ("grasp, eval", 2), ("synflow", 4)],
)
def test_fused_attention_is_scored_as_attention_written_out(method: str, compression: int) -> None:
    torch.manual_seed(2)
    fused, written_out = fused_attention().double(), written_out_attention().double()
    written_out.load_state_dict(fused.state_dict())
    probe = IMAGES.double(), LABELS
    kept = kept_by(method, fused, probe, compression)
    assert kept == kept_by(method, written_out, probe, compression)


def test_grasp_draws_the_same_for_the_gradient_and_the_hessian() -> None:
    """The same network with the factors of its dropout written down."""
    torch.manual_seed(2)
    network = mlp(nn.Dropout(0.5), hidden=2).double()
    seed = 4
    with fixed_draws(network, seed):
        factors = nn.functional.dropout(torch.ones(20, 2, dtype=torch.float64), 0.5)

    class Factors(nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden * factors

    written_out = copy.deepcopy(network)
    written_out[3] = Factors()  # type: ignore[operator]
    probe = IMAGES.double(), LABELS
    found = Grasp(2, seed=seed).scores(network, probe)
    expected = Grasp(2, seed=seed).scores(written_out, probe)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-18)

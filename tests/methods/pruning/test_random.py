"""Random pruning: uniform over all weights, and with numbers of kept weights for the layers."""

import math

import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import layer_sizes, layout_of
from rps_bench.methods.pruning.quotas import layer_quotas
from rps_bench.models import build_model

PAPER_GRID = (1, 3.16, 10, 31.6, 100, 316, 1000)


def count_kept(compressed: CompressedModel) -> list[int]:
    """Kept weights of each layer."""
    kept = compressed.weight_map.slots() >= 0
    return [int(p.sum()) for p in kept.split_with_sizes(list(layer_sizes(compressed.layout)))]


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


@pytest.mark.filterwarnings("ignore:.*keep no weight")
@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("density", ["erk", "balanced"])
@pytest.mark.parametrize("arch", ["resnet20", "vgg11"])
def test_layers_keep_their_numbers_on_the_papers_grid(
    arch: str, density: str, rounds: int, probe: Probe
) -> None:
    model = build_model(arch, 10, 4, torch.Generator().manual_seed(0))
    n = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    for compression in PAPER_GRID:
        method = build_method("rand", compression, 0, density=density, rounds=rounds)
        kept = count_kept(method.compress(model, probe))
        assert sum(kept) == math.floor(n / compression)
        assert kept == layer_quotas(density, layout_of(model), math.floor(n / compression))


@pytest.mark.parametrize("density", ["erk", "balanced"])
def test_within_a_layer_chance_alone_decides(density: str, plain: nn.Module, probe: Probe) -> None:
    """Over many seeds each weight of a layer is kept as often, up to five standard errors."""
    num_seeds, total = 200, torch.zeros(268)
    for seed in range(num_seeds):
        compressed = build_method("rand", 4, seed, density=density).compress(plain, probe)
        total += compressed.weight_map.slots() >= 0
    sizes = list(layer_sizes(compressed.layout))
    for shares, kept in zip(
        (total / num_seeds).split_with_sizes(sizes), count_kept(compressed), strict=True
    ):
        expected = kept / len(shares)
        error = math.sqrt(expected * (1 - expected) / num_seeds)
        assert bool(((shares - expected).abs() <= 5 * error).all())


def test_uniform_is_the_default_and_another_mask_than_the_others(
    resnet: nn.Module, probe: Probe
) -> None:
    methods = [build_method("rand", 10)]
    methods += [build_method("rand", 10, density=d) for d in ("uniform", "erk", "balanced")]
    masks = [method.compress(resnet, probe).weight_map.slots() for method in methods]
    assert torch.equal(masks[0], masks[1])
    assert not any(torch.equal(masks[0], mask) for mask in masks[2:])


def test_an_unknown_density_names_the_allowed_ones() -> None:
    with pytest.raises(UserError, match=r"method\.density.*uniform, erk, balanced.*ERK"):
        build_method("rand", 10, density="ERK")

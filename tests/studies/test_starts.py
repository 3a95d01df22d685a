"""Expected starts against drawn weights, and expected steps against drawn gradients."""

import math

import pytest
import torch

from rps_bench.methods import build_method
from rps_bench.methods.layout import flatten_weights, init_stds_of, layer_ranges, layout_of
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.models import build_model
from rps_bench.studies.starts import expected_ratios, expected_steps, magnitude_ratios, ratio_stds
from rps_bench.studies.variants import build_variant

COMPRESSION = 10.0


def network() -> torch.nn.Module:
    return build_model("resnet20", 10, 4, torch.Generator().manual_seed(0))


def probe() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(10, 3, 8, 8), torch.arange(10)


def energies(flat: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
    pieces = [flat[start:stop] for start, stop in layer_ranges(layout_of(model))]
    return torch.stack([piece.double().square().sum() for piece in pieces])


@pytest.mark.parametrize(
    "variant",
    [
        "dense",
        "rand",
        "rand density=erk",
        "rand density=balanced",
        "mag",
        "stable_rps",
        "stable_rps repository_init=matched",
        "stable_rps repository_init=uniform",
        "roast tile=8",
        "hashednet",
    ],
)
def test_starts_are_the_expected_ones_but_for_chance(variant: str) -> None:
    model = network()
    method = build_variant(variant, 1.0 if variant == "dense" else COMPRESSION, 0)
    compressed = method.compress(model, probe())
    ratios = energies(compressed.weights(), model) / energies(flatten_weights(model), model)
    expected = torch.tensor(expected_ratios(method, layout_of(model), init_stds_of(model)))
    is_shared = isinstance(method, SharingMethod)
    stds = torch.tensor(ratio_stds(compressed, is_shared)).double()
    is_alive = ~stds.isnan()  # a layer that lost all weights by chance has no deviation
    assert is_alive.sum() >= len(stds) - 1
    off, stds = (ratios / expected - 1).abs()[is_alive], stds[is_alive]
    assert (off <= 4 * stds + 1e-12).all(), (off / stds).max()
    assert stds.max() < 1.2  # narrow layers keep few weights; most have hundreds
    assert stds.median() < 0.25


@pytest.mark.slow
def test_chance_is_as_large_as_it_is_said_to_be() -> None:
    """The deviations of 40 draws have the standard deviation that is given for them."""
    model = network()
    for variant in ("rand", "stable_rps", "hashednet"):
        deviations = []
        for seed in range(40):
            drawn = build_model("resnet20", 10, 4, torch.Generator().manual_seed(seed))
            method = build_method(variant, COMPRESSION, seed)
            compressed = method.compress(drawn, probe())
            ratios = energies(compressed.weights(), model) / energies(flatten_weights(drawn), model)
            expected = torch.tensor(expected_ratios(method, layout_of(model), init_stds_of(model)))
            stds = torch.tensor(ratio_stds(compressed, isinstance(method, SharingMethod)))
            deviations.append(((ratios / expected - 1) / stds)[-6:])  # layers of many weights
        # Six layers that partly read the same slots: some 100 independent numbers.
        assert 0.75 < torch.stack(deviations).square().mean().sqrt() < 1.25, variant


def test_no_closed_form_is_none() -> None:
    model = network()
    method = build_method("snip", COMPRESSION, 0)
    found = expected_ratios(method, layout_of(model), init_stds_of(model))
    assert all(math.isnan(ratio) for ratio in found)


def test_magnitude_by_hand() -> None:
    # One layer: half of a normal vector, by magnitude, holds 2 (a phi(a) + Q(a)), a = 0.6745.
    (ratio,) = magnitude_ratios([1000], [0.3], 500)
    assert ratio == pytest.approx(0.9286, abs=1e-4)
    # A layer of tiny weights keeps none, and the other, as large, all that is kept.
    tiny, large = magnitude_ratios([1000, 1000], [1e-6, 1.0], 500)
    assert tiny == 0.0
    assert large == pytest.approx(0.9286, abs=1e-4)
    assert magnitude_ratios([3, 4], [1.0, 2.0], 7) == [1.0, 1.0]


@pytest.mark.parametrize(
    "variant",
    ["rand", "stable_rps", "stable_rps scaling=none", "roast tile=8", "hashednet scaling=gram"],
)
def test_steps_follow_the_expected_part_of_random_gradients(variant: str) -> None:
    model = network()
    layout = layout_of(model)
    compressed = build_variant(variant, COMPRESSION, 0).compress(model, probe())
    weight_map, scale = compressed.weight_map, compressed.gradient_scale()
    sizes = torch.tensor([stop - start for start, stop in layer_ranges(layout)])
    gradients = torch.linspace(0.1, 3.0, len(layout), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    mean = torch.zeros(len(layout), dtype=torch.float64)
    for _ in range(200):
        drawn = torch.randn(weight_map.num_weights, generator=generator)
        drawn *= (gradients / sizes.sqrt()).repeat_interleave(sizes)
        mean += energies(weight_map.expand(weight_map.reduce(drawn) / scale), model) / 200
    expected = expected_steps(weight_map, scale, layout, gradients)
    torch.testing.assert_close(mean.sqrt(), expected, rtol=0.06, atol=1e-12)


def test_a_layer_of_its_own_loses_all_but_the_density() -> None:
    model = network()
    compressed = build_method("rand", COMPRESSION, 0).compress(model, probe())
    ones = torch.ones(len(layout_of(model)))
    steps = expected_steps(
        compressed.weight_map, compressed.gradient_scale(), layout_of(model), ones
    )
    kept = compressed.weight_map.slots() >= 0
    ranges = layer_ranges(layout_of(model))
    densities = torch.stack([kept[start:stop].double().mean() for start, stop in ranges])
    torch.testing.assert_close(steps.square(), densities)

"""Normal weights, and the stds that methods scale by."""

import math

import pytest
import torch
from torch import nn

from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.models.initialisation import (
    fan_in,
    init_std_of,
    initialise_kaiming,
    theoretical_init_std,
)


def by_hand_fan_in(layer: nn.Module) -> int:
    if isinstance(layer, nn.Linear):
        return layer.in_features
    assert isinstance(layer, nn.Conv2d)
    return layer.in_channels // layer.groups * layer.kernel_size[0] * layer.kernel_size[1]


GAINS = {"resnet20": 2, "vgg11": 2, "vit_tiny": 1, "convnext_mini": 1}  # of Kaiming, of LeCun


@pytest.fixture(scope="module", params=ARCHITECTURES)
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(arch: str) -> nn.Module:
    return build_model(arch, 100, 16, torch.Generator().manual_seed(0))


def test_every_layer_starts_with_the_std_of_its_recipe(arch: str, model: nn.Module) -> None:
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.detach().double()
            std = math.sqrt(GAINS[arch] / by_hand_fan_in(layer))
            count = weight.numel()
            # The standard errors of a normal sample's std and mean, five of them.
            assert abs(weight.std().item() / std - 1) < 5 / math.sqrt(2 * count), name
            assert abs(weight.mean().item()) < 5 * std / math.sqrt(count), name
            # A normal has 4.55% beyond two stds; a uniform of that std has none.
            beyond = (weight.abs() > 2 * std).double().mean().item()
            assert abs(beyond - 0.0455) < 5 * math.sqrt(0.0455 / count), name
            assert theoretical_init_std(layer) == pytest.approx(std, rel=1e-12)


def test_biases_are_zero(model: nn.Module) -> None:
    biases = [tensor for name, tensor in model.named_parameters() if name.endswith("bias")]
    assert biases
    assert all(not bias.any() for bias in biases)


def test_vgg_batchnorm_starts_at_one() -> None:
    layers = [x for x in build_model("vgg11", 10, 4).modules() if isinstance(x, nn.BatchNorm2d)]
    assert len(layers) == 8
    assert all(bool((layer.weight == 1).all()) for layer in layers)


def test_resnet_batchnorm_starts_uniform() -> None:
    model = build_model("resnet20", 10, 16, torch.Generator().manual_seed(0))
    layers = [x for x in model.modules() if isinstance(x, nn.BatchNorm2d)]
    assert len(layers) == 1 + 9 * 2 + 2
    draws = torch.cat([layer.weight.detach() for layer in layers]).double().sort().values
    count = len(draws)
    assert draws[0] >= 0
    assert draws[-1] < 1
    # Kolmogorov-Smirnov: beyond 1.95 / sqrt(count) once in a thousand seeds.
    steps = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    assert (draws - steps).abs().max().item() < 1.95 / math.sqrt(count)


def test_fan_in_counts_the_inputs_of_one_output() -> None:
    assert fan_in(torch.empty(5, 7)) == 7
    assert fan_in(torch.empty(5, 3, 2, 4)) == 24
    assert fan_in(nn.Conv2d(6, 9, 3, groups=3).weight) == 18


@pytest.mark.parametrize("layer", [nn.Linear(300, 400), nn.Conv2d(20, 30, 5)])
def test_a_layer_without_a_declared_std_has_pytorchs(layer: nn.Linear | nn.Conv2d) -> None:
    torch.manual_seed(0)
    layer.reset_parameters()
    measured = layer.weight.detach().double().std().item()
    assert theoretical_init_std(layer) == pytest.approx(measured, rel=0.02)
    assert theoretical_init_std(layer) == pytest.approx(1 / math.sqrt(3 * by_hand_fan_in(layer)))


def test_initialise_declares_the_std_and_needs_no_bias() -> None:
    convolution, linear = nn.Conv1d(3, 4, 5, bias=False), nn.Linear(8, 2)
    initialise_kaiming(nn.Sequential(convolution, linear), torch.Generator().manual_seed(0))
    assert theoretical_init_std(convolution) == pytest.approx(math.sqrt(2 / 15))
    assert theoretical_init_std(linear) == pytest.approx(0.5)
    assert not linear.bias.any()


def test_embeddings_and_attention_are_drawn_from_the_generator() -> None:
    def draw(seed: int) -> nn.Module:
        network = nn.ModuleDict(
            {
                "table": nn.Embedding(40, 30, padding_idx=3),
                "packed": nn.MultiheadAttention(32, 2),
                "apart": nn.MultiheadAttention(32, 2, kdim=16, vdim=16),
                "up": nn.ConvTranspose2d(16, 32, 3),
            }
        )
        initialise_kaiming(network, torch.Generator().manual_seed(seed))
        return network

    first, again, other = draw(1), draw(1), draw(2)
    for name, weight in first.named_parameters():
        assert torch.equal(weight, again.get_parameter(name)), name
        if "bias" in name:
            assert not weight.any(), name
            continue
        assert not torch.equal(weight, other.get_parameter(name)), name
        owner, _, attribute = name.rpartition(".")
        expected = theoretical_init_std(first.get_submodule(owner), attribute)
        assert weight.detach().std().item() == pytest.approx(expected, rel=0.1), name
    assert not first.get_parameter("table.weight")[3].any()
    with torch.device("meta"):
        assert draw(1).get_parameter("packed.in_proj_weight").is_meta


LAYERS = [
    nn.Linear(30, 40),
    nn.Conv3d(4, 8, 3, groups=2),
    nn.ConvTranspose2d(16, 32, 3),
    nn.Embedding(40, 30),
    nn.EmbeddingBag(40, 30),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_the_std_is_what_a_network_has_where_that_is_plainly_another(layer: nn.Module) -> None:
    torch.manual_seed(0)
    layer.reset_parameters()  # type: ignore[operator]
    weight = layer.get_parameter("weight")
    theoretical = theoretical_init_std(layer)
    assert weight.detach().std().item() == pytest.approx(theoretical, rel=0.1)
    assert init_std_of(layer, "weight") == theoretical
    nn.init.trunc_normal_(weight, std=0.02)
    assert init_std_of(layer, "weight") == pytest.approx(0.02, rel=0.1)
    layer.init_std = 0.3  # type: ignore[assignment]
    assert init_std_of(layer, "weight") == 0.3
    del layer.init_std
    nn.init.zeros_(weight)
    assert init_std_of(layer, "weight") == theoretical


def test_the_std_of_attention_and_of_a_parameter_of_its_own() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(32, 2)
    assert init_std_of(attention, "in_proj_weight") == pytest.approx((2 / (32 + 96)) ** 0.5)
    network = nn.Module()
    network.places = nn.Parameter(torch.randn(1, 50, 20) * 0.02)
    assert init_std_of(network, "places") == pytest.approx(0.02, rel=0.1)

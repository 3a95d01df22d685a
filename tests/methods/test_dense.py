"""The controls: the dense network itself, and narrower ones."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.models import build_model


def resnet_total(width: int, num_classes: int = 10) -> int:
    """ResNet-20's parameters counted by hand from its channels."""
    total, channels = 3 * 9 * width + 2 * width, width
    for group in (width, 2 * width, 4 * width):
        for _ in range(3):
            total += 9 * channels * group + 9 * group * group + 4 * group
            if channels != group:
                total += channels * group + 2 * group
            channels = group
    return total + channels * num_classes + num_classes


def vgg_total(width: int, num_classes: int = 10) -> int:
    """VGG-11's parameters counted by hand from its channels."""
    total, channels = 0, 3
    for multiple in (1, 2, 4, 4, 8, 8, 8, 8):
        total += 9 * channels * multiple * width + 3 * multiple * width
        channels = multiple * width
    return total + channels * num_classes + num_classes


def test_the_hand_counts() -> None:
    assert resnet_total(16) == 272_474
    assert vgg_total(64) == 9_231_114


@pytest.mark.parametrize(
    "compression", [1.0, 1.01, 2, 3.16, 10, 31.6, 59.8, 60, 100, 316, 1000, 1e6]
)
@pytest.mark.parametrize(("name", "count"), [("resnet20", resnet_total), ("vgg11", vgg_total)])
def test_small_is_the_widest_that_fits(
    name: str, count: Callable[[int], int], compression: float, probe: Probe
) -> None:
    default = 16
    model = build_model(name, 10, default)
    fitting = [w for w in range(1, default + 1) if count(w) <= count(default) / compression]
    expected = max(fitting, default=1)
    compressed = build_method("small", compression).compress(model, probe)
    assert compressed.skeleton.width == expected
    assert type(compressed.skeleton) is type(model)
    # The live model's own count is the true size, also where width 1 is above the budget.
    assert sum(p.numel() for p in compressed.parameters()) == count(expected)


def test_small_meets_an_exact_budget(probe: Probe) -> None:
    """total / c = total of a width to the last number: that width, not the one below."""
    for width in (2, 4, 7, 8, 15):
        compression = resnet_total(16) / resnet_total(width)
        if resnet_total(16) / compression < resnet_total(width):
            continue  # the division's own rounding
        model = build_model("resnet20")
        assert build_method("small", compression).compress(model, probe).skeleton.width == width


def test_small_at_one_is_the_dense_network(resnet: nn.Module, probe: Probe) -> None:
    compressed = build_method("small", 1).compress(resnet, probe)
    assert torch.equal(compressed.weights(), flatten_weights(resnet))
    dense = build_method("dense", 1).compress(resnet, probe)
    assert torch.equal(compressed.eval()(probe[0]), dense.eval()(probe[0]))


def test_small_draws_a_fresh_init_from_the_seed(resnet: nn.Module, probe: Probe) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(torch.seed())
        return build_method("small", 3, seed=seed).compress(resnet, probe).weights()

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_small_keeps_classes_and_dtype(probe: Probe) -> None:
    model = build_model("resnet20", 37, 4).double()
    compressed = build_method("small", 5).compress(model, probe)
    assert compressed.stored.dtype == torch.float64
    assert compressed(probe[0].double()).shape == (20, 37)


def test_small_needs_a_width(plain: nn.Module, probe: Probe) -> None:
    with pytest.raises(UserError, match="width"):
        build_method("small", 10).compress(plain, probe)


def test_dense_is_the_network_itself(plain: nn.Module, probe: Probe) -> None:
    compressed = build_method("dense", 1).compress(plain, probe)
    assert torch.equal(compressed.stored, flatten_weights(plain))
    expected = plain.eval()(probe[0])
    assert torch.equal(compressed.eval()(probe[0]), expected)


@pytest.mark.parametrize("compression", [1.0001, 2, 10])
def test_dense_has_compression_one_only(compression: float) -> None:
    with pytest.raises(UserError, match=r"dense.*1 only"):
        build_method("dense", compression)

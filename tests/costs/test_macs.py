"""Multiply-accumulates: pinned, by brute force, and against PyTorch's own counter."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rps_bench.core.errors import UserError
from rps_bench.costs.macs import measure_macs, multiplications_of
from rps_bench.methods import METHODS, methods_of
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.selection import store_everything
from tests.methods.odd_networks import build

RESNET_MACS, VGG_MACS = 40_813_184, 152_769_536  # 32x32, 10 classes


def count_flops(model: nn.Module, image_size: int) -> int:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()(torch.zeros(1, 3, image_size, image_size))
    return counter.get_total_flops()


def resnet_positions(layer: str, image_size: int) -> int:
    """Outputs per channel of a ResNet-20 layer, from the strides 1, 2, 2 of the groups."""
    if layer == "classifier":
        return 1
    group = 0 if layer == "stem" else int(layer.split(".")[1]) // 3
    side: int = image_size // 2**group
    return side * side


@pytest.mark.parametrize(("arch", "macs"), [("resnet20", RESNET_MACS), ("vgg11", VGG_MACS)])
def test_paper_networks(arch: str, macs: int, make_network: Callable[..., nn.Module]) -> None:
    found = measure_macs(store_everything(make_network(arch, None)), 32)
    assert found == {"macs": macs, "effective_macs": macs}


@pytest.mark.parametrize(
    ("arch", "width", "num_classes", "image_size"),
    [
        ("resnet20", 16, 10, 32),
        ("resnet20", 16, 200, 64),
        ("resnet20", 3, 7, 9),  # odd sides: a stride rounds up
        ("vgg11", 4, 10, 32),
        ("vgg11", 4, 200, 64),
    ],
)
def test_macs_are_half_of_the_flops_that_pytorch_counts(
    arch: str,
    width: int,
    num_classes: int,
    image_size: int,
    make_network: Callable[..., nn.Module],
) -> None:
    model = make_network(arch, width, num_classes)
    macs = measure_macs(store_everything(model), image_size)["macs"]
    assert 2 * macs == count_flops(model, image_size)


@pytest.mark.parametrize("name", [name for name in methods_of("pruning") if name != "grasp"])
@pytest.mark.parametrize("compression", [3.16, 10, 300])
def test_pruned_networks_count_kept_weights_only(
    name: str,
    compression: float,
    make_network: Callable[..., nn.Module],
    compress: Callable[..., CompressedModel],
) -> None:
    options = {"rounds": 3} if name == "synflow" else {}
    compressed = compress(make_network(width=8), name, compression, **options)
    nominal = effective = 0
    for layer_name, layer in compressed.to_dense().named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            positions = resnet_positions(layer_name, 32)
            nominal += layer.weight.numel() * positions
            effective += sum(value != 0 for value in layer.weight.flatten().tolist()) * positions
    assert measure_macs(compressed, 32) == {"macs": nominal, "effective_macs": effective}
    assert 0 < effective < nominal


@pytest.mark.parametrize("name", methods_of("sharing"))
def test_sharing_saves_no_multiplication(
    name: str,
    make_network: Callable[..., nn.Module],
    compress: Callable[..., CompressedModel],
) -> None:
    found = measure_macs(compress(make_network("resnet20", None), name, 31.6), 32)
    assert found == {"macs": RESNET_MACS, "effective_macs": RESNET_MACS}


@pytest.mark.parametrize("compression", [4, 16, 100])
def test_a_small_network_multiplies_less(
    compression: float,
    make_network: Callable[..., nn.Module],
    compress: Callable[..., CompressedModel],
) -> None:
    small = compress(make_network("resnet20", None), "small", compression)
    found = measure_macs(small, 32)
    assert found["macs"] == found["effective_macs"] < RESNET_MACS / compression * 1.2
    assert 2 * found["macs"] == count_flops(small.to_dense(), 32)


@pytest.mark.parametrize("name", ["stable_rps", "mag"])
def test_measuring_leaves_the_model_alone(
    name: str,
    make_network: Callable[..., nn.Module],
    compress: Callable[..., CompressedModel],
) -> None:
    assert name in METHODS
    compressed = compress(make_network(), name).train()
    before = {key: value.clone() for key, value in compressed.state_dict().items()}
    measure_macs(compressed, 16)
    assert all(module.training for module in compressed.modules())
    assert all(torch.equal(before[key], value) for key, value in compressed.state_dict().items())
    assert not any(module._forward_hooks for module in compressed.modules())
    compressed(torch.zeros(2, 3, 8, 8)).sum().backward()  # and it still trains


class Unusual(nn.Module):
    """Grouped and strided convolutions, a layer used twice, a linear layer on every position."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)  # 8x8 -> 4x4
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)  # 4x4, used twice
        self.line = nn.Conv1d(4, 5, 3)  # 16 -> 14
        self.each = nn.Linear(5, 6)  # on each of the 14

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.grouped(self.grouped(self.stem(images)))
        logits: torch.Tensor = self.each(self.line(features.flatten(2)).transpose(1, 2)).mean(1)
        return logits


def test_unusual_layers_by_hand() -> None:
    torch.manual_seed(0)
    model = Unusual()
    assert multiplications_of(model, 8) == {
        "stem.weight": 108 * 16,
        "grouped.weight": 72 * 32,
        "line.weight": 60 * 14,
        "each.weight": 30 * 14,
    }
    by_hand = 108 * 16 + 72 * 32 + 60 * 14 + 30 * 14
    assert measure_macs(store_everything(model), 8)["macs"] == by_hand
    assert 2 * by_hand == count_flops(model, 8)


@pytest.mark.parametrize("name", ["tied layers", "tied embedding", "layer twice", "1-d"])
def test_a_tied_weight_multiplies_in_all_its_layers(name: str) -> None:
    network = build(name)
    macs = measure_macs(store_everything(network), 8)["macs"]
    assert 2 * macs == count_flops(network, 8)


def test_attention_multiplies_though_nobody_calls_its_layers() -> None:
    """64 tokens: 3 x 16 embed, packed 48 x 16, out 16 x 16, feed-forward twice 16 x 32; a head."""
    per_token = {
        "embed.weight": 48,
        "attend.self_attn.in_proj_weight": 768,
        "attend.self_attn.out_proj.weight": 256,
        "attend.linear1.weight": 512,
        "attend.linear2.weight": 512,
    }
    expected = {name: 64 * number for name, number in per_token.items()} | {"head.weight": 64}
    assert multiplications_of(build("attention"), 8) == expected
    macs = measure_macs(store_everything(build("attention")), 8)["macs"]
    assert macs == sum(expected.values())


class ByOther(nn.Module):
    """Weights that are transposed copies, scaled, added, looked up, and one that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.unused = nn.Linear(3, 4, bias=False), nn.Linear(4, 4)
        self.up = nn.ConvTranspose1d(4, 6, 2, stride=2, groups=2)  # 64 -> 128 places
        self.table, self.head = nn.Embedding(5, 6), nn.Linear(6, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.flatten(2).transpose(1, 2)  # (B, 64, 3)
        hidden = pixels @ (self.first.weight * 2).t().contiguous()
        places = self.up(hidden.transpose(1, 2)).transpose(1, 2)
        seen = places + self.table(torch.zeros(len(images), 1, dtype=torch.int64))
        logits: torch.Tensor = self.head(seen.mean(1))
        return logits


def test_weights_are_followed_to_where_they_multiply() -> None:
    assert multiplications_of(ByOther(), 8) == {
        "first.weight": 12 * 64,
        "unused.weight": 0,
        "up.weight": 4 * 3 * 2 * 64,
        "table.weight": 0,
        "head.weight": 12,
    }


def test_an_operation_that_tells_nothing_is_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.atan2(images.flatten(2), self.head.weight)

    with pytest.raises(UserError, match=r"head\.weight cannot be counted: aten\.atan2"):
        multiplications_of(Odd(), 8)

"""Stored numbers and bytes by hand, and layer densities."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from rps_bench.costs.sizes import layer_densities, measure_sizes
from rps_bench.methods import METHODS, methods_of
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.positions import encode_positions
from rps_bench.methods.files.write import FORMAT
from rps_bench.methods.layout import count_parameters
from rps_bench.methods.weight_map import SelectionMap

COMPRESSING = methods_of("sharing", "pruning")
PRUNING = methods_of("pruning")
OPTIONS = {"roast": {"tile": 4}, "synflow": {"rounds": 3}}

# ResNet-20 four channels wide: 4 + 24 + 56 + 112 BatchNorm channels of two numbers, 10 biases.
TOTAL, REST = 17_534, 402
N = TOTAL - REST


@pytest.fixture
def resnet(make_network: Callable[..., nn.Module]) -> nn.Module:
    return make_network()


@pytest.mark.parametrize("compression", [1, 3.16, 10, 100])
@pytest.mark.parametrize("name", COMPRESSING)
def test_a_method_stores_floor_n_over_c_numbers_and_the_rest(
    name: str, compression: float, resnet: nn.Module, compress: Callable[..., CompressedModel]
) -> None:
    compressed = compress(resnet, name, compression, **OPTIONS.get(name, {}))
    size = measure_sizes(compressed, resnet)
    m = math.floor(N / compression)
    stored_bytes = size.pop("stored_bytes")
    assert size == {
        "dense_weights": N,
        "stored_weights": m,
        "dense_total": TOTAL,
        "stored_total": m + REST,
        "true_compression": TOTAL / (m + REST),
        "file_format": FORMAT,
    }
    assert size["true_compression"] <= compression * 1.001 + 1e-9
    assert isinstance(stored_bytes, int)
    assert stored_bytes > 4 * (m + REST)


def test_dense_stores_everything(
    resnet: nn.Module, compress: Callable[..., CompressedModel]
) -> None:
    size = measure_sizes(compress(resnet, "dense", 1), resnet)
    assert (size["stored_weights"], size["stored_total"]) == (N, TOTAL)
    assert size["true_compression"] == 1


@pytest.mark.parametrize(
    ("arch", "dense_total", "compression", "stored_total"),
    [
        ("resnet20", 272_474, 3.96, 68_786),  # width 8: budget 68,806
        ("resnet20", 272_474, 15.5, 17_534),  # width 4: budget 17,579
        ("vgg11", 9_231_114, 15.9, 579_786),  # width 16: budget 580,573
        ("vgg11", 9_231_114, 63, 145_898),  # width 8: budget 146,526
    ],
)
def test_small_is_the_widest_network_within_the_budget(
    arch: str,
    dense_total: int,
    compression: float,
    stored_total: int,
    make_network: Callable[..., nn.Module],
    compress: Callable[..., CompressedModel],
) -> None:
    model = make_network(arch, None)
    size = measure_sizes(compress(model, "small", compression), model)
    assert (size["dense_total"], size["stored_total"]) == (dense_total, stored_total)
    assert size["true_compression"] == dense_total / stored_total >= compression


@pytest.mark.parametrize(
    ("arch", "num_classes", "n", "dense_total"),
    [
        ("resnet20", 10, 270_896, 272_474),
        ("resnet20", 100, 276_656, 278_324),
        ("resnet20", 200, 283_056, 284_824),
        ("vgg11", 10, 9_222_848, 9_231_114),
    ],
)
def test_sizes_of_the_paper_networks(
    arch: str,
    num_classes: int,
    n: int,
    dense_total: int,
    make_network: Callable[..., nn.Module],
    compress: Callable[..., CompressedModel],
) -> None:
    model = make_network(arch, None, num_classes)
    size = measure_sizes(compress(model, "stable_rps", 31.6), model)
    m = math.floor(n / 31.6)
    assert (size["dense_weights"], size["dense_total"]) == (n, dense_total)
    assert (size["stored_weights"], size["stored_total"]) == (m, m + dense_total - n)


def test_a_parameter_held_twice_is_counted_once() -> None:
    layer = nn.Linear(3, 4)
    tied = nn.ModuleDict({"one": layer, "two": nn.Linear(3, 4), "same": layer})
    tied["two"].weight = layer.weight
    assert count_parameters(tied) == 12 + 4 + 4


def test_buffers_are_not_counted() -> None:
    assert count_parameters(nn.BatchNorm2d(5)) == 10


@pytest.mark.parametrize("name", METHODS)
def test_the_live_model_holds_each_number_in_one_memory(
    name: str, resnet: nn.Module, compress: Callable[..., CompressedModel]
) -> None:
    compressed = compress(resnet, name, 1 if name == "dense" else 5, **OPTIONS.get(name, {}))
    compressed(torch.zeros(2, 3, 8, 8)).sum().backward()  # after a pass nothing more is held
    storages = {p.untyped_storage().data_ptr(): p for p in compressed.parameters()}
    numbers = sum(parameter.numel() for parameter in storages.values())
    beside = compressed.weight_map.num_beside
    assert numbers + beside == measure_sizes(compressed, resnet)["stored_total"]
    held = sum(p.untyped_storage().nbytes() for p in storages.values())
    assert held == 4 * numbers


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("compression", [10, 100])
def test_stored_bytes_are_those_of_the_real_file(
    name: str,
    compression: float,
    resnet: nn.Module,
    tmp_path: Path,
    compress: Callable[..., CompressedModel],
) -> None:
    compression = {"dense": 1, "kmeans": min(compression, 32)}.get(name, compression)
    compressed = compress(resnet, name, compression, **OPTIONS.get(name, {}))
    size = measure_sizes(compressed, resnet)
    compressed.save(tmp_path / "file")
    assert (tmp_path / "file").stat().st_size == size["stored_bytes"]


@pytest.mark.parametrize("compression", [2, 10, 31.9, 33, 100])
@pytest.mark.parametrize("name", ["mag", "rand", "stable_rps", "hashednet"])
def test_the_file_holds_little_more_than_the_numbers(
    name: str, compression: float, resnet: nn.Module, compress: Callable[..., CompressedModel]
) -> None:
    compressed = compress(resnet, name, compression)
    size = measure_sizes(compressed, resnet)
    m = size["stored_weights"]
    # Running mean and variance of 196 channels, and an int64 counter of each of 21 BatchNorms.
    numbers = 4 * (m + REST + 2 * 196) + 8 * 21
    positions = 0
    if name in PRUNING:
        kept = (compressed.weight_map.slots() >= 0).nonzero().view(-1)
        positions = encode_positions(kept, N)[1].nbytes
        assert positions <= min(math.ceil(N / 8), 4 * m)
    overhead = size["stored_bytes"] - numbers - positions
    assert 0 < overhead < 1_100  # the header


@pytest.mark.parametrize("name", PRUNING)
@pytest.mark.parametrize("compression", [4, 200])
def test_densities_are_the_shares_of_non_zero_weights(
    name: str,
    compression: float,
    resnet: nn.Module,
    compress: Callable[..., CompressedModel],
) -> None:
    compressed = compress(resnet, name, compression, **OPTIONS.get(name, {}))
    densities = layer_densities(compressed)
    weights = {
        f"{name}.weight": layer.weight
        for name, layer in compressed.to_dense().named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    assert list(densities) == list(weights)
    assert densities == {
        name: int(weight.count_nonzero()) / weight.numel() for name, weight in weights.items()
    }
    kept = sum(densities[name] * weight.numel() for name, weight in weights.items())
    assert kept / N == pytest.approx(math.floor(N / compression) / N, rel=1e-12)


@pytest.mark.parametrize("name", methods_of("sharing", "narrower", "dense"))
def test_nothing_is_pruned_where_nothing_is_pruned(
    name: str, resnet: nn.Module, compress: Callable[..., CompressedModel]
) -> None:
    compressed = compress(resnet, name, 1 if name == "dense" else 10, **OPTIONS.get(name, {}))
    assert set(layer_densities(compressed).values()) == {1.0}


def test_a_collapsed_layer_has_density_zero(resnet: nn.Module) -> None:
    # 108 weights of the stem, 144 of the next layer: keep 27 of the first, none, then one.
    kept = torch.cat((torch.arange(0, 108, 4), torch.tensor([108 + 144])))
    compressed = CompressedModel(resnet, SelectionMap(N, kept), torch.ones(28))
    densities = layer_densities(compressed)
    assert list(densities)[:3] == [
        "stem.weight",
        "blocks.0.conv1.weight",
        "blocks.0.conv2.weight",
    ]
    assert list(densities.values()) == [0.25, 0.0, 1 / 144] + [0.0] * 19

"""Weights recovered in ranges and layer by layer are those of the whole recovery, bit for bit."""

import copy
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from rps_bench.methods import METHODS, build_method, layerwise, load_compressed
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layerwise import recover_by_layer, recover_range
from rps_bench.methods.layout import Layout, layer_ranges
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.hashing import hash_signs
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.tiles import TiledMap
from rps_bench.methods.weight_map import IdentityMap, SelectionMap, WeightMap
from rps_bench.models import build_model

LAYOUT: Layout = (("a.weight", (7, 3)), ("b.weight", (5, 2, 3, 1)), ("c.weight", (1, 80)))
SCALES = (0.3, 3.1, 1.7)
N = 21 + 30 + 80

# Each takes (m, seed).
MAPS: dict[str, Callable[[int, int], WeightMap]] = {
    "identity": lambda m, seed: IdentityMap(N),
    "selection": lambda m, seed: SelectionMap(
        N, torch.randperm(N, generator=torch.Generator().manual_seed(seed))[:m].sort().values
    ),
    "randomfold": lambda m, seed: RandomFoldMap(LAYOUT, SCALES, m, seed),
    "hashed": lambda m, seed: HashedMap(LAYOUT, SCALES, m, seed),
    "balanced": lambda m, seed: BalancedMap(LAYOUT, SCALES, m, seed),
    "tiled": lambda m, seed: TiledMap(LAYOUT, SCALES, max(m, 9), seed, 3),
}
ranges = st.tuples(st.integers(0, N - 1), st.integers(1, N)).filter(lambda pair: pair[0] < pair[1])


def noise(count: int) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(count))


def compress(name: str, probe: Probe, model: nn.Module | None = None) -> CompressedModel:
    """A ResNet-20 whose BatchNorm has seen a batch."""
    dense = model or build_model("resnet20", 10, 4, torch.Generator().manual_seed(1))
    options = {"synflow": {"rounds": 5}, "roast": {"tile": 4}}.get(name, {})
    compressed = build_method(name, 1 if name == "dense" else 10, **options).compress(dense, probe)
    compressed.train()(probe[0])
    return compressed.eval()


@pytest.mark.parametrize("name", MAPS)
@given(m=st.integers(1, N), seed=st.integers(0, 1000), place=ranges)
def test_a_range_is_a_piece_of_the_whole(
    name: str, m: int, seed: int, place: tuple[int, int]
) -> None:
    weight_map, whole = MAPS[name](m, seed), slice(*place)
    stored = noise(weight_map.num_stored)
    assert torch.equal(weight_map.expand_range(stored, *place), weight_map.expand(stored)[whole])
    assert torch.equal(weight_map.slots_between(*place), weight_map.slots()[whole])
    coefficients = weight_map.coefficients_between(*place)
    assert torch.equal(coefficients, weight_map.coefficients()[whole])
    assert torch.equal(stored, noise(weight_map.num_stored))


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("m", [1, 5, 26, N])
def test_every_range_at_a_layers_border(name: str, m: int) -> None:
    weight_map = MAPS[name](m, 3)
    stored = noise(weight_map.num_stored)
    weights = weight_map.expand(stored)
    borders = {border + step for border in (0, 21, 51, N) for step in (-1, 0, 1)}
    places = sorted(borders & set(range(N + 1)))
    for start in places:
        for stop in [place for place in places if place > start]:
            piece = weight_map.expand_range(stored, start, stop)
            assert torch.equal(piece, weights[start:stop]), (start, stop)


def test_the_identitys_range_is_a_view() -> None:
    stored = noise(N)
    assert IdentityMap(N).expand_range(stored, 5, 9).data_ptr() == stored[5:].data_ptr()


@given(start=st.integers(0, 300), count=st.integers(1, 200))
def test_signs_of_a_range(start: int, count: int) -> None:
    whole = hash_signs(7, start + count, torch.float32)
    assert torch.equal(hash_signs(7, count, torch.float32, start=start), whole[start:])


@pytest.mark.parametrize("name", METHODS)
def test_layers_of_every_method(name: str, probe: Probe) -> None:
    compressed = compress(name, probe)
    weights, stored = compressed.weights().detach(), compressed.stored.detach()
    for start, stop in layer_ranges(compressed.layout):
        for low, high in ((start, stop), (start + 1, stop), (start, stop - 3), (start, start + 65)):
            piece = compressed.weight_map.expand_range(stored, low, min(high, len(weights)))
            assert torch.equal(piece, weights[low:high])


@pytest.mark.parametrize("chunk", [37, 2**16])
@pytest.mark.parametrize("name", METHODS)
def test_outputs_of_every_method(
    name: str, chunk: int, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layerwise, "CHUNK", chunk)
    compressed = compress(name, probe)
    model = recover_by_layer(compressed)
    expected = compressed(probe[0]).detach()
    for _ in range(2):
        assert torch.equal(model(probe[0]), expected)
    assert torch.equal(copy.deepcopy(model)(probe[0]), expected)
    assert torch.equal(compressed(probe[0]), expected)


def test_a_users_own_network(make_plain: Callable[[], nn.Module], probe: Probe) -> None:
    compressed = compress("stable_rps", probe, make_plain())
    assert torch.equal(recover_by_layer(compressed)(probe[0]), compressed(probe[0]))


def test_one_layer_has_its_weight_at_a_time(
    resnet: nn.Module, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = recover_by_layer(compress("stable_rps", probe, resnet))
    alive: list[weakref.ref[Any]] = []
    held, recover = [], layerwise.recover_range

    def note(*arguments: Any) -> torch.Tensor:
        weight = recover(*arguments)
        alive.append(weakref.ref(weight.untyped_storage()))
        held.append(sum(reference() is not None for reference in alive))
        return weight

    monkeypatch.setattr(layerwise, "recover_range", note)
    model(probe[0])
    assert held == [1] * len(model.weight_map.layout)  # type: ignore[arg-type]
    assert list(model.parameters()) == list(model.skeleton.parameters())
    assert not model(probe[0]).requires_grad


def test_an_error_amid_a_pass_leaves_no_weight(probe: Probe) -> None:
    model = recover_by_layer(compress("stable_rps", probe))
    expected = model(probe[0])
    with pytest.raises(RuntimeError):
        model(torch.zeros(2, 5, 8, 8))  # the first convolution wants three channels
    assert all("weight" not in layer.__dict__ for layer in model.modules())
    assert torch.equal(model(probe[0]), expected)


def test_long_ranges_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    weight_map = HashedMap(LAYOUT, SCALES, 13, 0)
    stored, lengths = noise(13), []
    expand_range = weight_map.expand_range

    def note(stored: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        lengths.append(stop - start)
        return expand_range(stored, start, stop)

    monkeypatch.setattr(layerwise, "CHUNK", 30)
    monkeypatch.setattr(weight_map, "expand_range", note)
    weights = recover_range(weight_map, stored, 10, 101)
    assert lengths == [30, 30, 30, 1]
    assert torch.equal(weights, expand_range(stored, 0, N)[10:101])


# Prints the bytes that a file's model and one image through it add to a warm process's memory.
MEASURE = """
import sys, torch
from safetensors.torch import load_file
from rps_bench.costs.memory import peak_memory_bytes, reset_peak_memory
from rps_bench.methods import load_compressed
from rps_bench.methods.layerwise import recover_by_layer
from rps_bench.models import build_model

def load_dense(path, width):
    with torch.device("meta"):
        model = build_model("vgg11", 10, width)
    model.load_state_dict(load_file(path), assign=True)
    return model.eval()

def load(path, width):
    if kind == "dense":
        return load_dense(path, width)
    compressed = load_compressed(path)
    loaded.append(peak_memory_bytes(cpu) - base)
    return compressed.eval() if kind == "whole" else recover_by_layer(compressed)

kind, tiny, path = sys.argv[1:]
torch.set_num_threads(1)
cpu, loaded, base = torch.device("cpu"), [0], 0
with torch.inference_mode():
    load(tiny, 1)(torch.zeros(1, 3, 32, 32))
    torch.nn.functional.conv2d(torch.zeros(1, 64, 32, 32), torch.zeros(64, 64, 3, 3))
    reset_peak_memory(cpu)
    base = peak_memory_bytes(cpu)
    load(path, 64)(torch.zeros(1, 3, 32, 32))
print(loaded[-1], peak_memory_bytes(cpu) - base)
"""


def measure(kind: str, *paths: Path) -> tuple[int, int]:
    """(bytes of loading, bytes of loading and one image), measured in a process of its own."""
    command = [sys.executable, "-c", MEASURE, kind, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded, peak = map(int, result.stdout.split())
    return loaded, peak


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux measures a peak anew"
)
def test_memory_stays_below_the_dense_models(tmp_path: Path) -> None:
    """VGG-11: 9.2 million weights of 37 MB; its largest layer has 9.4 MB."""
    dense, compressed = [], []
    for width, compression in ((1, 2), (64, 100)):
        model = build_model("vgg11", 10, width, torch.Generator().manual_seed(0))
        probe = torch.zeros(1, 3, 16, 16), torch.zeros(1, dtype=torch.int64)
        rps = build_method("stable_rps", compression).compress(model, probe)
        dense.append(tmp_path / f"dense-{width}.safetensors")
        compressed.append(tmp_path / f"rps-{width}.safetensors")
        save_file(model.state_dict(), dense[-1])
        rps.save(compressed[-1])
    _, dense_peak = measure("dense", *dense)
    loaded, whole_peak = measure("whole", *compressed)
    _, layer_peak = measure("layers", *compressed)
    print(f"loaded {loaded}, by layer {layer_peak}, dense {dense_peak}, whole {whole_peak}")
    assert dense_peak > 36e6
    assert loaded < 4e6  # a tenth of the dense weights
    assert layer_peak < 0.6 * dense_peak < whole_peak


def test_loading_into_a_network_of_the_users_own(
    make_plain: Callable[[], nn.Module], probe: Probe, tmp_path: Path
) -> None:
    compressed = compress("stable_rps", probe, make_plain())
    compressed.save(tmp_path / "own.safetensors")
    loaded = load_compressed(tmp_path / "own.safetensors", make_plain())
    assert torch.equal(recover_by_layer(loaded)(probe[0]), compressed(probe[0]))

"""Maps whose rows are permuted within each layer: computed, invertible, and read back."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method, load_compressed, methods_of, restore
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layerwise import recover_by_layer
from rps_bench.methods.layout import Layout, flatten_weights, layer_sizes, num_weights
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.shuffled import LayerShuffledMap

SHARING = methods_of("sharing")


def compress(
    name: str, model: nn.Module, probe: Probe, compression: float = 10, **options: Any
) -> CompressedModel:
    tile = {"tile": 4} if name == "roast" else {}
    return build_method(name, compression, 4, **tile, **options).compress(model, probe)


def by_layer(flat: torch.Tensor, layout: Layout) -> list[torch.Tensor]:
    return list(flat.split_with_sizes(list(layer_sizes(layout))))


@pytest.mark.parametrize("name", SHARING)
def test_each_layer_has_the_same_weights_at_other_places(
    name: str, resnet: nn.Module, probe: Probe
) -> None:
    own = compress(name, resnet, probe)
    shuffled = compress(name, resnet, probe, shuffle="layer")
    assert torch.equal(shuffled.stored, own.stored)
    reads = [
        (own.weights().detach(), shuffled.weights().detach()),
        (own.weight_map.slots(), shuffled.weight_map.slots()),
        (own.weight_map.coefficients(), shuffled.weight_map.coefficients()),
    ]
    for flat, moved in reads:
        for before, after in zip(
            by_layer(flat, own.layout), by_layer(moved, own.layout), strict=True
        ):
            assert torch.equal(before.sort().values, after.sort().values)
    assert (reads[1][0] != reads[1][1]).double().mean() > 0.9
    torch.testing.assert_close(shuffled.weight_map.gram(), own.weight_map.gram())
    torch.testing.assert_close(shuffled.gradient_scale(), own.gradient_scale())
    images = probe[0]
    assert not torch.allclose(shuffled.eval()(images), own.eval()(images))


@pytest.mark.parametrize("name", SHARING)
def test_all_ways_to_the_map_agree(name: str, plain: nn.Module, probe: Probe) -> None:
    """Against a matrix of its slots and coefficients, values and gradients, whole and in ranges."""
    shuffled = compress(name, plain.double(), probe, 5, shuffle="layer")
    weight_map, m = shuffled.weight_map, shuffled.stored.numel()
    matrix = torch.zeros(268, m, dtype=torch.float64)
    matrix[torch.arange(268), weight_map.slots()] = weight_map.coefficients()
    stored, gradient = shuffled.stored.detach(), torch.randn(268, dtype=torch.float64)
    torch.testing.assert_close(weight_map.expand(stored), matrix @ stored)
    torch.testing.assert_close(weight_map.reduce(gradient), matrix.T @ gradient)
    whole = weight_map.expand(stored)
    for start, stop in ((0, 268), (0, 108), (108, 268), (3, 5), (100, 120), (267, 268)):
        assert torch.equal(weight_map.expand_range(stored, start, stop), whole[start:stop])
        slots = weight_map.slots_between(start, stop)
        assert torch.equal(slots, weight_map.slots()[start:stop])


@given(
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5),
    seed=st.integers(0, 2**62),
)
def test_rows_stay_in_their_layers(sizes: list[tuple[int, int]], seed: int) -> None:
    layout = tuple((str(place), shape) for place, shape in enumerate(sizes))
    n = num_weights(layout)
    inner = RandomFoldMap(layout, [1.0] * len(layout), n, seed)  # at m = n each slot is one row
    slots, moved = inner.slots(), LayerShuffledMap(inner).slots()
    for before, after in zip(by_layer(slots, layout), by_layer(moved, layout), strict=True):
        assert sorted(before.tolist()) == sorted(after.tolist())


def test_layers_of_one_size_have_permutations_of_their_own() -> None:
    layout = (("a", (50, 2)), ("b", (50, 2)))
    inner = RandomFoldMap(layout, [1.0, 1.0], 200, 0)
    places = LayerShuffledMap(inner)._places()
    assert not torch.equal(places[:100], places[100:] - 100)
    other = LayerShuffledMap(RandomFoldMap(layout, [1.0, 1.0], 200, 1))._places()
    assert not torch.equal(places, other)


@pytest.mark.parametrize("name", ["stable_rps", "rpg"])
def test_the_fit_at_compression_one_is_the_dense_init(
    name: str, resnet: nn.Module, probe: Probe
) -> None:
    options = {"shuffle": "layer", "repository_init": "project"}
    shuffled = compress(name, resnet.double(), probe, 1, **options)
    torch.testing.assert_close(
        shuffled.weights().detach(), flatten_weights(resnet), rtol=1e-14, atol=0
    )


@pytest.mark.parametrize("name", SHARING)
def test_files_and_states_come_back(
    name: str, resnet: nn.Module, probe: Probe, tmp_path: Path
) -> None:
    own = compress(name, resnet, probe).eval()
    shuffled = compress(name, resnet, probe, shuffle="layer").eval()
    # A word more in the header, and nothing for each weight.
    sizes = [model.save(tmp_path / "model.safetensors") for model in (own, shuffled)]
    assert 0 < sizes[1] - sizes[0] < 64
    assert len(list(shuffled.weight_map.buffers())) == 2
    assert all(buffer.numel() == 0 for buffer in shuffled.weight_map.buffers())
    found = (
        load_compressed(tmp_path / "model.safetensors"),
        restore(resnet, shuffled.state_dict()),
    )
    for model in found:
        assert torch.equal(model.weights(), shuffled.weights())
        assert torch.equal(model.eval()(probe[0]), shuffled(probe[0]))
    assert torch.equal(recover_by_layer(shuffled)(probe[0]), shuffled(probe[0]))
    for model, other in ((own, shuffled), (shuffled, own)):
        with pytest.raises(UserError, match="shuffled_within_layers"):
            model.load_state_dict(other.state_dict())


@pytest.mark.parametrize("word", [1, "layer", None, [True]])
def test_a_file_with_another_word_is_refused(
    word: object, resnet: nn.Module, probe: Probe, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    compress("stable_rps", resnet, probe, shuffle="layer").save(path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    text = content[8 : 8 + length].decode()
    wanted = json.dumps('"shuffled_within_layers":true')[1:-1]
    assert wanted in text
    changed = json.dumps(f'"shuffled_within_layers":{json.dumps(word)}')[1:-1]
    header = text.replace(wanted, changed).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + length :])
    with pytest.raises(UserError, match="shuffled_within_layers must be true or false"):
        load_compressed(path)

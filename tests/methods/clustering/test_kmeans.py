"""kmeans as a method: what a compression buys, its gradients, its weighting, its file."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.costs.sizes import measure_sizes
from rps_bench.methods import build_method, load_compressed
from rps_bench.methods.base import Probe
from rps_bench.methods.clustering.codebook_map import CodebookMap
from rps_bench.methods.clustering.kmeans import squared_gradients
from rps_bench.methods.compressed import restore
from rps_bench.methods.files.indices import pack_indices, unpack_indices
from rps_bench.methods.files.tensor_bytes import parse_safetensors, to_safetensors
from rps_bench.methods.files.write import FORMAT
from rps_bench.methods.layerwise import recover_by_layer
from rps_bench.methods.layout import flatten_weights, layout_of
from rps_bench.methods.map_state import KEY
from rps_bench.methods.pruning.rounds import ScoreError
from rps_bench.models import build_model

RESNET, TINY = 270_896, 4350  # weights


@pytest.mark.parametrize(
    ("n", "compression", "num_values"),
    [
        (RESNET, 32, 2),
        (RESNET, 16, 2),  # two bits would be 16x without their codebook
        (RESNET, 15.9, 4),
        (RESNET, 10.7, 4),
        (RESNET, 10.6, 8),
        (RESNET, 10, 8),
        (RESNET, 4, 128),
        (TINY, 10, 8),
        (1000, 4, 32),  # of a small network the codebook is a larger part
        (100, 10, 2),
        (3, 32, 2),
    ],
)
def test_how_many_values_a_compression_buys(n: int, compression: float, num_values: int) -> None:
    k = build_method("kmeans", compression).num_stored((("w", (n,)),))
    assert k == num_values
    bits = n * math.log2(k) + 32 * k
    assert bits <= 32 * n / compression or k == 2


@pytest.mark.parametrize(
    ("n", "compression", "message"),
    [
        (RESNET, 32.1, r"compressions from 4 \(128 values at most\) to 32 \(.*, got 32.1$"),
        (RESNET, 1000, "got 1000$"),
        (RESNET, 3.9, "got 3.9$"),
        (2, 10, "a codebook of 2 values is larger than a network of 2"),
    ],
)
def test_compressions_that_no_codebook_has(n: int, compression: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_method("kmeans", compression).num_stored((("w", (n,)),))


def test_the_weighting_is_one_of_two() -> None:
    with pytest.raises(UserError, match=r"method.weighting must be .*none, squared_gradients"):
        build_method("kmeans", 10, weighting="fisher")


def test_eight_values_of_normal_weights_lose_3_5_percent(probe: Probe) -> None:
    torch.manual_seed(3)
    layer = nn.Linear(700, 500, bias=False)
    nn.init.normal_(layer.weight, std=0.02)
    compressed = build_method("kmeans", 10).compress(layer, probe)
    weights = flatten_weights(layer)
    lost = (compressed.weights().detach() - weights).square().sum() / weights.square().sum()
    assert compressed.stored.shape == (8,)
    assert float(lost) == pytest.approx(0.0345, rel=0.02)
    assert len(layer.weight.view(-1)) * 4 / measure_sizes(compressed, layer)["stored_bytes"] > 10.6


def test_a_value_s_gradient_is_the_mean_of_its_members_and_moves_as_the_projected_one(
    plain: nn.Module, probe: Probe
) -> None:
    compressed = build_method("kmeans", 8).compress(plain, probe).double().train()
    dense = compressed.to_dense().train()
    for model in (compressed, dense):
        loss = F.cross_entropy(model(probe[0].double()), probe[1])
        loss.backward()  # type: ignore[no-untyped-call]
    gradient = torch.cat([p.grad.view(-1) for p in dense.parameters() if p.dim() > 1])  # type: ignore[union-attr]
    indices = compressed.weight_map.slots()
    assert compressed.stored.grad is not None
    for value in range(compressed.stored.numel()):
        members = gradient[indices == value]
        assert float(compressed.stored.grad[value]) == pytest.approx(float(members.mean()))


def test_squared_gradients_are_those_of_single_images() -> None:
    """One linear layer: the gradient of an image is (softmax - label) x', by hand."""
    torch.manual_seed(1)
    layer, images = nn.Linear(3, 2, bias=False), torch.randn(4, 3)
    labels = torch.tensor([0, 1, 1, 0])
    errors = layer(images).softmax(1).detach() - F.one_hot(labels, 2)
    expected = (errors[:, :, None] * images[:, None, :]).square().mean(0).view(-1)
    found = squared_gradients(layer, (images, labels))
    torch.testing.assert_close(found.float(), expected)


def test_weighting_lowers_the_error_that_counts(resnet: nn.Module, probe: Probe) -> None:
    importance = squared_gradients(copy.deepcopy(resnet), probe)
    weights = flatten_weights(resnet).double()

    def loss(weighting: str) -> tuple[float, float]:
        method = build_method("kmeans", 10, weighting=weighting)
        squares = (method.compress(resnet, probe).weights().detach() - weights).square()
        return float(squares.sum()), float((importance * squares).sum())

    unweighted, weighted = loss("none"), loss("squared_gradients")
    assert weighted[1] < unweighted[1]
    assert weighted[0] > unweighted[0]


def test_weights_without_gradients_are_refused(plain: nn.Module, probe: Probe) -> None:
    method = build_method("kmeans", 10, weighting="squared_gradients")
    with pytest.raises(ScoreError, match="squared gradients of the weights are NaN"):
        method.compress(plain, (probe[0] * float("nan"), probe[1]))
    with torch.no_grad():
        plain.get_parameter("0.weight").fill_(float("inf"))
    with pytest.raises(ScoreError, match="weights to be clustered are NaN or infinite"):
        build_method("kmeans", 10).compress(plain, probe)


@pytest.mark.parametrize("num_bits", range(1, 9))
def test_indices_take_their_bits_and_come_back(num_bits: int) -> None:
    generator = torch.Generator().manual_seed(num_bits)
    indices = torch.randint(0, 2**num_bits, (77,), generator=generator).to(torch.uint8)
    packed = pack_indices(indices, num_bits)
    assert len(packed) == -(-77 * num_bits // 8)
    assert torch.equal(unpack_indices(packed, 77, num_bits), indices)
    number = int.from_bytes(packed.numpy().tobytes(), "little")
    assert [number >> i * num_bits & (2**num_bits - 1) for i in range(77)] == indices.tolist()
    for broken in (packed[:-1], torch.cat((packed, packed[:1])), packed.short(), packed[None]):
        with pytest.raises(ValueError, match="bits for the index of each weight"):
            unpack_indices(broken, 77, num_bits)
    if 77 * num_bits % 8:
        with pytest.raises(ValueError, match="is followed by more bits"):
            unpack_indices(packed | 128, 77, num_bits)


@pytest.mark.parametrize(("compression", "num_bits"), [(32, 1), (10, 3), (4.2, 7)])
def test_its_file_is_as_small_as_it_says(
    compression: float, num_bits: int, probe: Probe, tmp_path: Path
) -> None:
    model = build_model("resnet20", 10, 8, torch.Generator().manual_seed(1))
    n = sum(math.prod(shape) for _, shape in layout_of(model))
    compressed = build_method("kmeans", compression).compress(model, probe)
    assert compressed.stored.numel() == 2**num_bits
    size = measure_sizes(compressed, model)
    numbers = 2**num_bits + math.ceil(n * num_bits / 32)
    assert size["stored_weights"] == numbers
    assert size["true_compression"] == size["dense_total"] / (size["dense_total"] - n + numbers)
    rest = sum(t.numel() * t.element_size() for t in compressed.skeleton.state_dict().values())
    content = compressed.save(tmp_path / "model.safetensors")
    assert content == size["stored_bytes"]
    assert 0 < content - rest - math.ceil(n * num_bits / 8) - 4 * 2**num_bits < 800  # the header


def test_it_comes_back_from_files_and_states_and_goes_by_layer(
    make_plain: Callable[[], nn.Module], probe: Probe, tmp_path: Path
) -> None:
    compressed = build_method("kmeans", 10).compress(make_plain(), probe)
    compressed.save(tmp_path / "model.safetensors")
    loaded = load_compressed(tmp_path / "model.safetensors", make_plain())
    restored = restore(make_plain(), compressed.state_dict())
    for same in (loaded, restored):
        assert isinstance(same.weight_map, CodebookMap)
        assert torch.equal(same.weight_map.slots(), compressed.weight_map.slots())
        assert torch.equal(same.weights(), compressed.weights())
        assert torch.equal(same.get_extra_state(), compressed.get_extra_state())
    expected = compressed.eval()(probe[0])
    assert torch.equal(recover_by_layer(compressed)(probe[0]), expected)
    assert torch.equal(loaded.eval()(probe[0]), expected)


Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda words, tensors: words.update(num_stored=3), "no power of two"),
        (lambda words, tensors: words.update(num_stored=512), "its num_stored must be"),
        (lambda words, tensors: words.update(num_stored="4"), "its num_stored must be"),
        (lambda words, tensors: words.update(num_stored=2), "1 bits for the index of each weight"),
        (lambda words, tensors: tensors.pop("indices"), "indices"),
        (
            lambda words, tensors: tensors.update(kept=tensors["indices"].clone()),
            "holds 'kept', which no",
        ),
        (lambda words, tensors: tensors.update(stored=tensors["stored"][:3]), "do not agree"),
        (lambda words, tensors: tensors.update(indices=tensors["indices"].int()), "2 bits for"),
    ],
)
def test_files_that_contradict_themselves_are_refused_in_a_line(
    change: Change, message: str, make_plain: Callable[[], nn.Module], probe: Probe, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    build_method("kmeans", 10).compress(make_plain(), probe).save(path)
    header, tensors = parse_safetensors(path.read_bytes())
    change(header["map"], tensors)
    path.write_bytes(to_safetensors(tensors, {"format": FORMAT, "header": json.dumps(header)}))
    with pytest.raises(UserError, match=message) as caught:
        load_compressed(path, make_plain())
    assert "\n" not in str(caught.value)


def test_the_state_of_other_indices_is_refused(plain: nn.Module, probe: Probe) -> None:
    compressed = build_method("kmeans", 10).compress(plain, probe)
    indices = compressed.weight_map.slots().to(torch.uint8)
    indices[:5] = 1 - indices[:5].clamp(max=1)
    other = type(compressed)(plain, CodebookMap(indices, 4), compressed.stored.detach(), "gram")
    with pytest.raises(UserError, match="5 of 268 indices are others"):
        compressed.load_state_dict(other.state_dict())
    fewer = build_method("kmeans", 32).compress(plain, probe)
    with pytest.raises(UserError, match="num_stored is 2, the model's 4"):
        compressed.load_state_dict(fewer.state_dict())
    state = compressed.state_dict()
    state[KEY] = state[KEY][:-1]
    with pytest.raises(UserError, match="bits for the index of each weight"):
        restore(plain, state)


def test_one_network_one_codebook(plain: nn.Module, probe: Probe) -> None:
    once, again = (build_method("kmeans", 10, seed=s).compress(plain, probe) for s in (0, 1))
    assert torch.equal(once.stored, again.stored)  # nothing is drawn
    assert np.array_equal(once.weight_map.slots().numpy(), again.weight_map.slots().numpy())

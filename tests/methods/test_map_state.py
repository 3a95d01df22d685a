"""A state_dict says what its numbers stand for, and goes into no other network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import METHODS, build_method, methods_of, restore
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.map_state import KEY, decode_map, encode_map
from rps_bench.models import build_model


def compress(name: str, probe: Probe, seed: int = 0, **options: Any) -> CompressedModel:
    """A ResNet-20 two channels wide whose init and method have one seed."""
    network = build_model("resnet20", 10, 2, torch.Generator().manual_seed(seed))
    fast = {"synflow": {"rounds": 3}, "roast": {"tile": 4}}.get(name, {})
    return build_method(name, 1 if name == "dense" else 5, seed, **fast, **options).compress(
        network, probe
    )


@pytest.mark.parametrize("name", METHODS)
def test_the_map_comes_back_from_its_tensor(name: str, probe: Probe) -> None:
    compressed = compress(name, probe, init_std=0.1) if name == "rpg" else compress(name, probe)
    encoded = compressed.get_extra_state()
    assert (encoded.dtype, encoded.dim()) == (torch.uint8, 1)
    weight_map, scaling = decode_map(encoded, compressed.layout)
    assert type(weight_map) is type(compressed.weight_map)
    assert scaling == compressed.scaling
    assert torch.equal(weight_map.slots(), compressed.weight_map.slots())
    assert torch.equal(weight_map.coefficients(), compressed.weight_map.coefficients())
    assert torch.equal(encode_map(weight_map, compressed.layout, scaling), encoded)


@pytest.mark.parametrize("name", [*methods_of("sharing"), "rand", "mag", "snip"])
def test_another_seeds_state_is_refused_and_nothing_is_changed(name: str, probe: Probe) -> None:
    first, second = compress(name, probe, 0), compress(name, probe, 1)
    before = {key: tensor.clone() for key, tensor in second.state_dict().items()}
    for strict in (True, False):
        with pytest.raises(UserError, match=r"another map: .*(seed is 0|kept weights)"):
            second.load_state_dict(first.state_dict(), strict=strict)
    for key, tensor in second.state_dict().items():
        assert torch.equal(tensor, before[key]), key


def test_a_state_that_lacks_its_map_is_refused(probe: Probe) -> None:
    model = compress("stable_rps", probe)
    state = model.state_dict()
    del state[KEY]
    for strict in (True, False):
        with pytest.raises(UserError, match="earlier version"):
            model.load_state_dict(state, strict=strict)


def test_a_part_of_a_larger_network_is_checked_too(probe: Probe) -> None:
    first, second = (nn.Sequential(compress("mag", probe, seed), nn.ReLU()) for seed in (0, 1))
    second[0].load_state_dict(second[0].state_dict())
    with pytest.raises(UserError, match="kept weights"):
        second.load_state_dict(first.state_dict())


@pytest.mark.parametrize("name", METHODS)
def test_a_network_is_restored_with_the_map_of_its_state(
    name: str, probe: Probe, make_probe: Callable[..., Probe]
) -> None:
    compressed = compress(name, probe).train()
    compressed(make_probe(8, 8)[0])
    width = compressed.skeleton.width
    other = build_model("resnet20", 10, width, torch.Generator().manual_seed(9))  # type: ignore[arg-type]
    before = {key: tensor.clone() for key, tensor in other.state_dict().items()}
    found = restore(other, compressed.state_dict())
    assert torch.equal(found.eval()(probe[0]), compressed.eval()(probe[0]))
    assert found.scaling == compressed.scaling
    assert all(torch.equal(tensor, before[key]) for key, tensor in other.state_dict().items())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: {}, "not the state_dict of a compressed model"),
        (lambda state: state | {KEY: {"map": 3}}, "not the state_dict of a compressed model"),
        (lambda state: state | {KEY: state[KEY][:20]}, "does not fit"),
        (lambda state: state | {KEY: state[KEY].flip(0)}, "does not fit"),
        (lambda state: state | {"stored": state["stored"][1:]}, "values, its map"),
    ],
)
def test_what_cannot_be_restored(
    spoil: Callable[[dict[str, Any]], dict[str, Any]], message: str, probe: Probe
) -> None:
    state = compress("mag", probe).state_dict()
    with pytest.raises(UserError, match=message):
        restore(build_model("resnet20", 10, 2), spoil(dict(state)))


def test_another_network_is_not_filled(probe: Probe) -> None:
    state = compress("stable_rps", probe).state_dict()
    with pytest.raises(UserError, match="layers are others"):
        restore(build_model("resnet20", 10, 4), state)

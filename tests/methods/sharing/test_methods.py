"""The four sharing methods as methods: recovered stds, one global seed, ROAST's bound."""

import math
import re
from typing import Any

import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.tiles import TiledMap
from rps_bench.models import build_model

MAPS: dict[str, type[SharingMap]] = {
    "stable_rps": RandomFoldMap,
    "roast": TiledMap,
    "hashednet": HashedMap,
    "rpg": BalancedMap,
}


@pytest.mark.parametrize("name", MAPS)
def test_each_method_has_its_map(name: str, resnet: nn.Module, probe: Probe) -> None:
    compressed = build_method(name, 10).compress(resnet, probe)
    assert type(compressed.weight_map) is MAPS[name]
    assert compressed.stored.numel() == sum(math.prod(s) for _, s in compressed.layout) // 10


@pytest.mark.parametrize("init", ["normal", "uniform"])
@pytest.mark.parametrize("name", MAPS)
def test_recovered_stds_are_the_dense_ones(name: str, init: str, probe: Probe) -> None:
    model = build_model("resnet20", 10, 16, torch.Generator().manual_seed(0))
    method = build_method(name, 4, repository_init=init, init_std=0.3)
    compressed = method.compress(model, probe)
    shrink = 1.0 if init == "normal" else 1 / math.sqrt(3)
    pieces = (
        compressed.weights().detach().split_with_sizes([math.prod(s) for _, s in compressed.layout])
    )
    for (layer, shape), piece in zip(compressed.layout, pieces, strict=True):
        expected = shrink * math.sqrt(2 / math.prod(shape[1:]))
        # Weights of a layer may share values: as if a quarter of them were independent.
        error = 1 / math.sqrt(2 * piece.numel() / 4)
        assert abs(piece.std().item() / expected - 1) < 5 * error, layer


@pytest.mark.parametrize("name", MAPS)
def test_a_users_network_keeps_pytorchs_stds(name: str, probe: Probe) -> None:
    model = nn.Sequential(nn.Conv2d(3, 40, 5), nn.Flatten(), nn.Linear(400, 30))
    compressed = build_method(name, 2).compress(model, probe)
    first, second = compressed.weights().detach().split_with_sizes([3000, 12000])
    assert first.std().item() == pytest.approx(1 / math.sqrt(3 * 75), rel=0.12)
    assert second.std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.06)


@pytest.mark.parametrize("name", MAPS)
def test_one_seed_one_map(name: str, probe: Probe) -> None:
    """The map depends on the seed and the layer table, not on the weights' values."""

    def slots(seed: int, weights_seed: int) -> torch.Tensor:
        model = build_model("resnet20", 10, 4, torch.Generator().manual_seed(weights_seed))
        return build_method(name, 10, seed=seed).compress(model, probe).weight_map.slots()

    assert torch.equal(slots(0, 0), slots(0, 1))
    assert (slots(0, 0) != slots(1, 0)).double().mean() > 0.5


def test_roast_needs_one_tile(resnet: nn.Module, probe: Probe) -> None:
    n = sum(parameter.numel() for parameter in resnet.parameters() if parameter.dim() > 1)
    with pytest.raises(UserError, match=r"method\.tile") as caught:
        build_method("roast", 1000).compress(resnet, probe)
    bound = re.search(r"at most ([0-9.]+)", str(caught.value))
    assert bound is not None
    named = float(bound[1])
    assert named == pytest.approx(n / 256, abs=0.01)
    # What the message advises works.
    assert build_method("roast", named).compress(resnet, probe).stored.numel() >= 256
    assert build_method("roast", 1000, tile=4).compress(resnet, probe).stored.numel() == n // 1000


@pytest.mark.parametrize("width", [3, 4, 5, 16])
def test_the_bound_that_roast_names_is_allowed(width: int, probe: Probe) -> None:
    """Also where n / b^2 would round up."""
    model = build_model("resnet20", 10, width)
    with pytest.raises(UserError, match=r"at most") as caught:
        build_method("roast", 5_000).compress(model, probe)
    bound = re.search(r"at most ([0-9.]+)", str(caught.value))
    assert bound is not None
    assert build_method("roast", float(bound[1])).compress(model, probe).stored.numel() == 256


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"init_std": 0.0}, r"method\.init_std"),
        ({"init_std": -1.0}, r"method\.init_std"),
        ({"init_std": math.nan}, r"method\.init_std"),
        ({"init_std": math.inf}, r"method\.init_std"),
        ({"init_std": "big"}, r"method\.init_std"),
        ({"init_std": None}, r"method\.init_std"),
        (
            {"repository_init": "ones"},
            r"method\.repository_init.*normal, uniform, project, matched.*ones",
        ),
        (
            {"scaling": "gramm"},
            r"method\.scaling.*none, gram, squared_mean, sum, mean, root_gram.*gramm",
        ),
    ],
)
def test_bad_options_name_the_allowed_ones(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        build_method(name, 10, **options)


@pytest.mark.parametrize("tile", [0, -2, 2.5, "16"])
def test_a_tile_is_a_count(tile: object) -> None:
    with pytest.raises(UserError, match=r"method\.tile"):
        build_method("roast", 10, tile=tile)

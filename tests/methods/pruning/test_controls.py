"""The two controls of every pruner at initialisation: masks shuffled, weights drawn anew."""

import math

import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.core.seeds import named_generator
from rps_bench.methods import build_method, default_options, methods_of
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import flatten_weights, layer_sizes
from rps_bench.methods.shuffling import shuffle_kept
from rps_bench.models import build_model

AT_INIT = [name for name in methods_of("pruning") if "rounds" in default_options(name)]


def compress(
    name: str, model: nn.Module, probe: Probe, shuffle: str = "none", reinit: bool = False
) -> CompressedModel:
    rounds = {"rounds": 3} if name == "synflow" else {}
    method = build_method(name, 10, 4, shuffle=shuffle, reinit=reinit, **rounds)
    return method.compress(model, probe)


def kept_by_layer(compressed: CompressedModel) -> list[torch.Tensor]:
    """Places within each layer."""
    kept = compressed.weight_map.slots() >= 0
    pieces = kept.split_with_sizes(list(layer_sizes(compressed.layout)))
    return [piece.nonzero().view(-1) for piece in pieces]


def positions(compressed: CompressedModel) -> torch.Tensor:
    return (compressed.weight_map.slots() >= 0).nonzero().view(-1)


@pytest.mark.parametrize("reinit", [False, True])
@pytest.mark.parametrize("name", AT_INIT)
def test_a_shuffled_mask_keeps_each_layers_number(
    name: str, reinit: bool, resnet: nn.Module, probe: Probe
) -> None:
    own = compress(name, resnet, probe)
    shuffled = compress(name, resnet, probe, "layer", reinit)
    counts = [len(places) for places in kept_by_layer(own)]
    assert [len(places) for places in kept_by_layer(shuffled)] == counts
    # As many of the old places as chance gives: a layer's share of its own, five standard errors.
    sizes = layer_sizes(own.layout)
    expected = sum(k * k / size for k, size in zip(counts, sizes, strict=True))
    stayed = int(torch.isin(positions(own), positions(shuffled)).sum())
    assert abs(stayed - expected) < 5 * math.sqrt(expected)
    if not reinit:  # the weights at the new places are the dense ones there
        assert torch.equal(shuffled.stored, flatten_weights(resnet)[positions(shuffled)])
    again = compress(name, resnet, probe, "layer", reinit)
    assert torch.equal(positions(again), positions(shuffled))


def test_every_place_of_a_layer_is_as_likely() -> None:
    """Over many seeds, up to five standard errors; layers that are full or empty stay so."""
    layout = (("a", (4, 5)), ("b", (3, 1)), ("c", (2, 2)))
    kept, num_seeds, counts = torch.tensor([0, 1, 2, 5, 20, 21, 22]), 2000, torch.zeros(27)
    for seed in range(num_seeds):
        shuffled = shuffle_kept(kept, layout, seed)
        assert shuffled.dtype == torch.int64
        assert bool((shuffled.diff() > 0).all())
        counts[shuffled] += 1
    assert counts[20:].tolist() == [num_seeds] * 3 + [0] * 4
    error = math.sqrt(0.2 * 0.8 / num_seeds)
    assert bool(((counts[:20] / num_seeds - 0.2).abs() < 5 * error).all())


@pytest.mark.parametrize("name", AT_INIT)
def test_weights_drawn_anew_at_the_same_places(name: str, resnet: nn.Module, probe: Probe) -> None:
    own = compress(name, resnet, probe)
    state = torch.random.get_rng_state()
    anew = compress(name, resnet, probe, reinit=True)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(positions(anew), positions(own))
    # The very network that another stream of the seed draws.
    other = build_model("resnet20", 10, 4, named_generator(4, "reinit"))
    assert torch.equal(anew.stored, flatten_weights(other)[positions(own)])
    assert not torch.isin(anew.stored, own.stored).any()
    # All that is no compressed weight is as it was.
    old, new = own.skeleton.state_dict(), anew.skeleton.state_dict()
    assert old.keys() == new.keys()
    assert all(torch.equal(old[key], new[key]) for key in old)


def test_weights_drawn_anew_have_the_dense_std(probe: Probe) -> None:
    """Magnitude keeps the largest; drawn anew they are an ordinary sample, up to five errors."""
    model = build_model("resnet20", 10, 8, torch.Generator().manual_seed(0))
    anew = compress("mag", model, probe, reinit=True)
    pieces = anew.weights().detach().split_with_sizes(list(layer_sizes(anew.layout)))
    kept = torch.cat(
        [
            piece[piece != 0] / math.sqrt(2 / math.prod(shape[1:]))
            for piece, (_, shape) in zip(pieces, anew.layout, strict=True)
        ]
    )
    assert kept.std().item() == pytest.approx(1, rel=5 / math.sqrt(2 * len(kept)))
    assert abs(kept.mean().item()) < 5 / math.sqrt(len(kept))


def test_what_cannot_be_drawn_anew_is_refused(
    plain: nn.Module, resnet: nn.Module, probe: Probe
) -> None:
    with pytest.raises(UserError, match=r"method\.reinit=true needs.*narrowed\(width\)"):
        compress("mag", plain, probe, reinit=True)
    resnet.classifier = nn.Linear(16, 12)
    with pytest.raises(UserError, match=r"method\.reinit=true.*other layers"):
        compress("mag", resnet, probe, reinit=True)

"""Pruning by trained magnitude: the choice of weights by hand, and the options."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import layout_of
from rps_bench.methods.levels import Rewinding
from rps_bench.methods.pruning.rounds import ScoreError
from rps_bench.methods.pruning.trained import LotteryTicketRewinding, TrainedPruningMethod
from rps_bench.methods.selection import (
    highest_stored,
    magnitude_of_stored,
    prune_stored,
    store_everything,
)
from rps_bench.methods.weight_map import IdentityMap

NAMES = ("ltr", "mag_trained")
PROBE = (torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64))


def line(*weights: float) -> nn.Linear:
    """One layer of these weights, all into one output."""
    layer = nn.Linear(len(weights), 1)
    layer.weight = nn.Parameter(torch.tensor([weights]))
    return layer


def test_ties_go_to_the_lower_index() -> None:
    dense = store_everything(line(1.0, -2.0, 2.0, -1.0, 0.5, 1.0))
    chosen = {m: highest_stored(dense, magnitude_of_stored, m).tolist() for m in range(7)}
    assert chosen == {
        0: [],
        1: [1],
        2: [1, 2],
        3: [0, 1, 2],
        4: [0, 1, 2, 3],
        5: [0, 1, 2, 3, 5],
        6: [0, 1, 2, 3, 4, 5],
    }


def test_pruning_again_looks_at_the_stored_values_only() -> None:
    """Pruned weights never come back, and rows count stored values, not places."""
    model = line(5.0, 1.0, 4.0, 2.0, 3.0, 6.0)
    once = prune_stored(model, store_everything(model), torch.tensor([1, 2, 4, 5]))
    assert once.weights().tolist() == [0, 1, 4, 0, 3, 6]
    with torch.no_grad():
        once.stored.copy_(torch.tensor([-9.0, 0.0, 7.0, 7.0]))  # training went on
    rows = highest_stored(once, magnitude_of_stored, 2)
    assert rows.tolist() == [0, 2]
    twice = prune_stored(model, once, rows)
    assert twice.weights().tolist() == [0, -9, 0, 0, 7, 0]
    assert twice.weight_map.slots().tolist() == [-1, 0, -1, -1, 1, -1]
    assert highest_stored(once, magnitude_of_stored, 3).tolist() == [
        0,
        2,
        3,
    ]  # the zero weight goes before any other
    assert once.weights().tolist() == [0, -9, 0, 0, 7, 7], "the network it came from was changed"


def test_a_pruned_network_takes_biases_and_batchnorm_from_the_model(plain: nn.Module) -> None:
    dense = store_everything(plain)
    with torch.no_grad():
        dense.skeleton.get_parameter("5.bias").add_(1)
    pruned = prune_stored(plain, dense, torch.tensor([0, 7]))
    expected = plain.state_dict()
    for name, tensor in pruned.skeleton.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("name", NAMES)
def test_compress_keeps_the_largest_weights_that_the_model_holds(
    name: str, plain: nn.Module, probe: Probe
) -> None:
    compressed = build_method(name, 10).compress(plain, probe)
    flat = np.concatenate([p.detach().numpy().ravel() for p in plain.parameters() if p.dim() > 1])
    order = np.lexsort((np.arange(flat.size), -np.abs(flat)))
    kept = np.sort(order[:26])
    assert np.array_equal(np.flatnonzero(compressed.weight_map.slots().numpy() >= 0), kept)
    assert np.array_equal(compressed.stored.detach().numpy(), flat[kept])


@dataclass(frozen=True)
class SmallestTrained(TrainedPruningMethod):
    """Another score of trained weights: the nearer to one half, the better."""

    name: ClassVar[str] = "smallest_trained"

    def score_trained(self, model: CompressedModel) -> torch.Tensor:
        return -(model.stored - 0.5).abs()


def test_another_score_of_trained_weights_is_one_method() -> None:
    """4 x 4 weights in sixteenths: by magnitude the last four stay, by this score the middle."""
    layer = nn.Linear(4, 4, bias=False)
    layer.weight = nn.Parameter(torch.arange(1.0, 17).view(4, 4) / 16)
    found = {
        method: build.compress(layer, PROBE).weights().mul(16).int().view(4, 4).tolist()
        for method, build in (
            ("magnitude", LotteryTicketRewinding(4)),
            ("own", SmallestTrained(4)),
        )
    }
    assert found == {
        "magnitude": [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [13, 14, 15, 16]],
        "own": [[0, 0, 0, 0], [0, 6, 7, 8], [9, 0, 0, 0], [0, 0, 0, 0]],
    }


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_choose_nothing_are_refused(bad: float) -> None:
    dense = store_everything(line(1.0, 2.0))
    with pytest.raises(ScoreError, match="scores of trained weights are NaN or infinite"):
        highest_stored(dense, lambda model: model.stored * bad, 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_level_trains_the_dense_network(
    name: str, plain: nn.Module, probe: Probe
) -> None:
    start = build_method(name, 10).start(plain, probe)
    assert isinstance(start.weight_map, IdentityMap)
    assert start.stored.numel() == 268
    assert torch.equal(start.eval()(probe[0]), plain.eval()(probe[0]))


def test_levels_are_those_of_the_layout_and_the_options(
    make_plain: Callable[[], nn.Module],
) -> None:
    layout = layout_of(make_plain())
    method = build_method("ltr", 10, level_fraction=0.5)
    assert [level.num_kept for level in method.levels(layout)] == [268, 134, 67, 33, 26]
    assert [level.num_kept for level in build_method("ltr", 2).levels(layout)] == [
        *(268, 214, 171, 136),
        134,
    ]
    with pytest.raises(UserError, match="268"):
        build_method("ltr", 269).levels(layout)


def test_what_the_two_baselines_rewind() -> None:
    assert build_method("ltr", 10).rewinding == Rewinding(None, restores_weights=True)
    assert build_method("mag_trained", 10).rewinding == Rewinding(None, restores_weights=False)
    options: dict[str, Any] = {"rewind_steps": 7, "rewind": False}
    assert build_method("ltr", 10, **options).rewinding == Rewinding(7, restores_weights=False)


@pytest.mark.parametrize("name", ["mag", "stable_rps", "small"])
def test_other_methods_have_one_level_of_their_own(name: str, make_plain: Any) -> None:
    method = build_method(name, 10)
    (level,) = method.levels(layout_of(make_plain()))
    assert (level.number, level.num_kept, level.is_shared) == (0, 26, False)
    assert method.rewinding is None
    assert not method.shares_trainings


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("rewind_steps", -1, "method.rewind_steps must be null or a whole number from 0 up"),
        ("rewind_steps", 1.5, "method.rewind_steps must be null or a whole number from 0 up"),
        ("rewind_steps", True, "method.rewind_steps must be null or a whole number from 0 up"),
        ("level_fraction", 0, "method.level_fraction must be a number in"),
        ("level_fraction", 1, "method.level_fraction must be a number in"),
        ("level_fraction", float("nan"), "method.level_fraction must be a number in"),
        ("rewind", 1, "method.rewind must be true or false"),
    ],
)
def test_bad_options(name: str, option: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_method(name, 10, **{option: value})
    assert build_method(name, 10, rewind_steps=0).rewinding is not None

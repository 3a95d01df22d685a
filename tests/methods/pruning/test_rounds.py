"""Rounds: exact numbers, nested masks, rescoring with pruned weights at zero."""

import itertools
import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rps_bench.core.errors import CompressionWarning, UserError
from rps_bench.methods import build_method, default_options, methods_of
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.rounds import ScoreError, num_kept_after, prune_in_rounds

# The pruning methods that choose before training.
WITH_ROUNDS = [name for name in methods_of("pruning") if "rounds" in default_options(name)]


def flat(model: nn.Module) -> torch.Tensor:
    """The weights of a network, without the package."""
    return torch.cat([p.detach().flatten() for p in model.parameters() if p.dim() > 1])


@given(n=st.integers(1, 10**7), share=st.floats(0, 1), rounds=st.integers(1, 200))
def test_kept_numbers_fall_to_m(n: int, share: float, rounds: int) -> None:
    m = max(1, round(share * n))
    kept = [num_kept_after(r, rounds, n, m) for r in range(rounds + 1)]
    assert kept[0] == n
    assert kept[-1] == m
    assert kept == sorted(kept, reverse=True)
    assert min(kept) == m


def test_kept_numbers_by_hand() -> None:
    """n (m/n)^(r/R) of 1000 to 1 in three rounds: 100, 10, 1 (rounded down)."""
    assert [num_kept_after(r, 3, 1000, 1) for r in (1, 2, 3)] in ([100, 10, 1], [99, 10, 1])
    assert [num_kept_after(r, 2, 900, 4) for r in (1, 2)] == [60, 4]


class Recorder:
    """Random scores that note which weights each round still sees."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.seen: list[torch.Tensor] = []

    def __call__(self, model: nn.Module) -> torch.Tensor:
        weights = flat(model)
        self.seen.append(weights)
        return torch.rand(weights.numel(), generator=self.generator)


@pytest.mark.parametrize("rounds", [1, 2, 7])
def test_masks_are_nested(rounds: int, plain: nn.Module) -> None:
    original, score, m = flat(plain), Recorder(), 13
    assert (original != 0).all()
    kept = prune_in_rounds(plain, score, m, rounds)
    assert len(score.seen) == rounds
    assert torch.equal(score.seen[0], original)
    last = torch.zeros_like(original)
    last[kept] = original[kept]
    history = [*score.seen, last]
    for round_number, (before, after) in enumerate(itertools.pairwise(history), 1):
        survivors = after != 0
        assert bool((before[survivors] != 0).all())
        assert torch.equal(after[survivors], original[survivors])
        expected = num_kept_after(round_number, rounds, 268, m)
        assert int(survivors.sum()) == expected
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert torch.equal(flat(plain), original)


def test_a_pruned_weight_never_comes_back(plain: nn.Module) -> None:
    """Even if every later round gives it the highest score."""
    calls = 0

    def score(model: nn.Module) -> torch.Tensor:
        nonlocal calls
        calls += 1
        ascending = torch.arange(268.0)
        return ascending if calls == 1 else -ascending

    kept = prune_in_rounds(plain, score, 67, 2)  # keeps the last 134, then the first 67 of them
    assert kept.tolist() == list(range(134, 201))


def test_scores_may_change_the_working_copy_only(plain: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}

    def score(model: nn.Module) -> torch.Tensor:
        model.eval()
        scores = flat(model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1)
        return scores

    prune_in_rounds(plain, score, 10, 3)
    assert plain.training
    assert all(torch.equal(before[name], tensor) for name, tensor in plain.state_dict().items())


def test_nan_scores_are_no_silent_mask(plain: nn.Module) -> None:
    with pytest.raises(FloatingPointError, match="NaN in round 1"):
        prune_in_rounds(plain, lambda model: torch.full((268,), torch.nan), 10, 3)


def constant(value: float) -> Callable[[nn.Module], torch.Tensor]:
    return lambda model: torch.full((268,), value)


def test_scores_that_choose_nothing_are_no_silent_mask(plain: nn.Module) -> None:
    for value in (torch.inf, -torch.inf):
        with pytest.raises(ScoreError, match=r"overflow torch\.float32 in round 1"):
            prune_in_rounds(plain, constant(value), 10, 3)
    with pytest.raises(ScoreError, match="all zero"):
        prune_in_rounds(plain, lambda model: torch.zeros(268), 10, 3)
    everything = prune_in_rounds(plain, lambda model: torch.zeros(268), 268, 1)
    assert everything.tolist() == list(range(268))  # there is nothing to choose


@pytest.mark.parametrize(
    ("num_above", "num_zero", "num_stored", "is_said"),
    [
        (268, 0, 50, False),
        (40, 228, 40, False),
        (40, 228, 44, False),  # dead units leave as many anywhere
        (40, 228, 45, True),
        (40, 228, 267, True),
        (40, 100, 150, False),  # all that are zero are kept, what is below them is not
        (0, 100, 50, True),
    ],
)
def test_masks_chosen_by_place_are_said(
    num_above: int, num_zero: int, num_stored: int, is_said: bool, plain: nn.Module
) -> None:
    """Where more than a tenth of the kept weights score zero, and so do others."""
    scores = torch.full((268,), -1.0)
    scores[:num_above] = 1.0
    scores[num_above : num_above + num_zero] = 0.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        prune_in_rounds(plain, lambda model: scores, num_stored, 1)
    assert [warning.category for warning in caught] == [CompressionWarning] * is_said
    assert not is_said or "score exactly zero" in str(caught[0].message)


@pytest.mark.parametrize("name", WITH_ROUNDS)
@pytest.mark.parametrize("compression", [1, 1.5, 3.16, 10, 31.6, 268])
def test_budgets_are_exact(
    name: str, compression: float, make_plain: Callable[[], nn.Module], probe: Probe
) -> None:
    model = make_plain()
    compressed = build_method(name, compression, rounds=4).compress(model, probe)
    m = int(268 / compression)
    assert compressed.stored.numel() == m
    assert int((compressed.weight_map.slots() >= 0).sum()) == m
    assert int((compressed.weights() != 0).sum()) == m
    kept = compressed.weight_map.slots() >= 0
    assert torch.equal(compressed.weights()[kept], flatten_weights(model)[kept])


@pytest.mark.parametrize("rounds", [0, -1, 1.5, True])
def test_rounds_are_a_count(rounds: object) -> None:
    with pytest.raises(UserError, match=r"method\.rounds"):
        build_method("mag", 10, rounds=rounds)


def test_a_weight_that_lets_nothing_pass_is_named() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    nn.init.zeros_(network[1].weight)  # type: ignore[arg-type]
    with pytest.raises(
        ScoreError, match=r"nothing passes 1\.weight, which starts at zero; draw it"
    ):
        build_method("snip", 2).compress(network, (torch.eye(4), torch.arange(4) % 2))

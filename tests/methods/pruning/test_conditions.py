"""What scoring sets, and that it is put back: also after an error."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from rps_bench.methods.pruning.conditions import fixed_draws, scoring


class FailureError(Exception):
    """Of the network."""


def settings() -> tuple[object, ...]:
    cuda: Any = torch.backends.cuda
    return (
        torch.get_rng_state().tolist(),
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.math_sdp_enabled(),
        torch.backends.mha.get_fastpath_enabled(),
        torch.backends.cudnn.enabled,
    )


@pytest.mark.parametrize("fails", [False, True])
def test_all_is_put_back(fails: bool) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2))
    before = settings()
    try:
        with scoring(model, 0):
            torch.rand(3)
            assert settings()[1:] == (False, False, True, False, False)
            if fails:
                raise FailureError
    except FailureError:
        pass
    assert settings() == before


def test_cudnn_stays_where_nothing_is_recurrent() -> None:
    with scoring(nn.Linear(2, 2), 0):
        assert torch.backends.cudnn.enabled


def test_draws_are_of_the_seed() -> None:
    model = nn.Linear(2, 2)

    def draw(seed: int) -> list[float]:
        with fixed_draws(model, seed):
            return torch.rand(3).tolist()

    first = draw(0)
    torch.rand(1)
    assert draw(0) == first
    assert draw(1) != first


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_draws_on_a_gpu_are_of_the_seed() -> None:
    model = nn.Linear(2, 2, device="cuda")
    before = torch.cuda.get_rng_state()
    draws = []
    for seed in (0, 0, 1):
        with fixed_draws(model, seed):
            draws.append(torch.rand(3, device="cuda").tolist())
    assert draws[0] == draws[1] != draws[2]
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_halves_are_widened_and_nothing_else() -> None:
    model = nn.Sequential(nn.Linear(2, 2).bfloat16(), nn.Linear(2, 2).double(), nn.BatchNorm1d(2))
    expected = copy.deepcopy(model[0]).float().state_dict()
    with scoring(model, 0):
        assert torch.ones(2, dtype=torch.float16).dtype == torch.float32
    assert [p.dtype for p in model.parameters()] == [
        *(torch.float32, torch.float32, torch.float64, torch.float64),
        *(torch.float32, torch.float32),
    ]
    assert all(torch.equal(value, expected[name]) for name, value in model[0].state_dict().items())

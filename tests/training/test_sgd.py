"""The optimizer gives the numbers of PyTorch's class."""

from collections.abc import Callable

import pytest
import torch

from rps_bench.training.recipe import Recipe
from rps_bench.training.sgd import Sgd


@pytest.mark.parametrize("decay", [0.0, 5e-4])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_steps_are_those_of_torch_optim(
    momentum: float, nesterov: bool, decay: float, make_recipe: Callable[..., Recipe]
) -> None:
    torch.manual_seed(0)
    start = [
        torch.randn(5, 3),
        torch.randn(4, 2, 3, 3).contiguous(memory_format=torch.channels_last),
    ]
    own, theirs = ([torch.nn.Parameter(t.clone()) for t in start] for _ in range(2))
    recipe = make_recipe(lr=0.3, momentum=momentum, nesterov=nesterov, weight_decay=decay)
    ours = Sgd(own, recipe)
    official = torch.optim.SGD(
        theirs, 0.3, momentum=momentum, nesterov=nesterov, weight_decay=decay, fused=True
    )
    for rate in (0.3, 0.2, 0.05):
        ours.set_rate(rate)
        official.param_groups[0]["lr"] = rate
        for one, other in zip(own, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        ours.step()
        official.step()
        assert all(torch.equal(one, other) for one, other in zip(own, theirs, strict=True))
    assert len(ours.momentum) == (2 if momentum else 0)
    ours.zero_grad()
    assert all(parameter.grad is None for parameter in own)


def test_a_parameter_without_gradient_stays(make_recipe: Callable[..., Recipe]) -> None:
    used, unused = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))
    optimizer = Sgd([used, unused], make_recipe(weight_decay=0.1))
    used.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(unused.data, torch.ones(2))
    assert list(optimizer.momentum) == [used]
    assert not torch.equal(used.data, torch.ones(3))

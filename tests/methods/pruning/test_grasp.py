"""GraSP's score against finite differences of the gradient, in float64."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.pruning.grasp import Grasp


def weights_of(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.dim() > 1]


def flat_gradient(model: nn.Module, probe: Probe) -> torch.Tensor:
    loss = F.cross_entropy(model(probe[0]) / 200, probe[1])
    grads = torch.autograd.grad(loss, weights_of(model))
    return torch.cat([grad.flatten() for grad in grads])


def move(model: nn.Module, direction: torch.Tensor) -> None:
    with torch.no_grad():
        for weight, step in zip(
            weights_of(model),
            direction.split_with_sizes([weight.numel() for weight in weights_of(model)]),
            strict=True,
        ):
            weight.add_(step.view_as(weight))


def by_finite_differences(model: nn.Module, probe: Probe) -> torch.Tensor:
    """w * (grad(w + e g) - grad(w - e g)) / 2e."""
    weights = torch.cat([weight.detach().flatten() for weight in weights_of(model)])
    gradient = flat_gradient(model, probe)
    step = 1e-4 / float(gradient.norm())
    move(model, step * gradient)
    ahead = flat_gradient(model, probe)
    move(model, -2 * step * gradient)
    behind = flat_gradient(model, probe)
    move(model, step * gradient)
    return weights * (ahead - behind) / (2 * step)


@pytest.mark.parametrize("score_mode", ["train", "eval"])
def test_score_is_w_times_hessian_gradient(score_mode: str, plain: nn.Module, probe: Probe) -> None:
    double = probe[0].double(), probe[1]
    model = plain.double().train(score_mode == "train")
    with torch.no_grad():
        model[1].running_var.uniform_(1, 3)  # type: ignore[index]
    expected = by_finite_differences(model, double)
    found = Grasp(10, score_mode=score_mode).scores(model.train(score_mode != "train"), double)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7 * expected.abs().max().item())
    assert (found < 0).any()
    assert (found > 0).any()


def test_several_passes_equal_one(plain: nn.Module, make_probe: Callable[..., Probe]) -> None:
    """g is the gradient over the whole probe in both sums, whatever the passes."""
    images, labels = make_probe(520, 4)
    double = images.double(), labels.flip(0) // 2
    model = plain.double().eval()
    weights = weights_of(model)
    loss = F.cross_entropy(model(double[0]) / 200, double[1])
    grads = torch.autograd.grad(loss, weights, create_graph=True)
    gradient = torch.cat([grad.flatten() for grad in grads])
    products = torch.autograd.grad(gradient @ gradient.detach(), weights)
    expected = torch.cat(
        [(w * h).detach().flatten() for w, h in zip(weights, products, strict=True)]
    )
    found = Grasp(10, score_mode="eval").scores(model, double)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10 * expected.abs().max().item())


def test_it_keeps_the_highest_signed_scores(plain: nn.Module, probe: Probe) -> None:
    model = plain.double()
    double = probe[0].double(), probe[1]
    compressed = build_method("grasp", 3, score_mode="eval").compress(model, double)
    scores = by_finite_differences(model.eval(), double)
    kept = compressed.weight_map.slots() >= 0
    assert (
        scores[kept].min().item() >= scores[~kept].max().item() - 1e-7 * scores.abs().max().item()
    )

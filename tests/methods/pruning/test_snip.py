"""SNIP's score is the gradient of a mask, here a mask that is really there."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.pruning.snip import Snip


def mask_gradient(model: nn.Module, probe: Probe) -> torch.Tensor:
    """abs(dL/dmask) of a mask of ones on every weight with more than one axis."""
    model = copy.deepcopy(model)  # train mode moves the running statistics
    parameters = dict(model.named_parameters())
    masks = {name: torch.ones_like(p) for name, p in parameters.items() if p.dim() > 1}
    for mask in masks.values():
        mask.requires_grad_()
    masked = parameters | {name: parameters[name] * mask for name, mask in masks.items()}
    logits = torch.func.functional_call(model, masked, (probe[0],))
    grads = torch.autograd.grad(F.cross_entropy(logits, probe[1]), list(masks.values()))
    return torch.cat([grad.flatten() for grad in grads]).abs()


@pytest.mark.parametrize("score_mode", ["train", "eval"])
def test_score_is_the_masks_gradient(score_mode: str, plain: nn.Module, probe: Probe) -> None:
    double = probe[0].double(), probe[1]
    plain.double()
    with torch.no_grad():
        plain[1].running_mean.normal_()  # type: ignore[index]
        plain[1].running_var.uniform_(1, 3)  # type: ignore[index]
    expected = mask_gradient(plain.train(score_mode == "train"), double)
    # The other mode's scores are far off, so the test can tell.
    other = mask_gradient(plain.train(score_mode == "eval"), double)
    assert not torch.allclose(expected, other, rtol=0.01)
    found = Snip(10, score_mode=score_mode).scores(plain.train(score_mode != "train"), double)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)


def test_the_default_mode_is_the_authors(plain: nn.Module, probe: Probe) -> None:
    assert torch.equal(
        build_method("snip", 10).compress(plain, probe).weight_map.slots(),
        build_method("snip", 10, score_mode="train").compress(plain, probe).weight_map.slots(),
    )
    with pytest.raises(UserError, match=r"method\.score_mode.*train, eval, probe.*both"):
        build_method("snip", 10, score_mode="both")


@pytest.mark.parametrize("num_images", [256, 257, 601])
def test_several_passes_equal_one(
    num_images: int, plain: nn.Module, make_probe: Callable[..., Probe]
) -> None:
    """In eval mode a probe of any length gives the gradient of its mean loss."""
    images, labels = make_probe(num_images, 4)
    double = images.double(), labels.flip(0) // 2
    plain.double()
    expected = mask_gradient(plain.eval(), double)
    found = Snip(10, score_mode="eval").scores(plain, double)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-14)


def test_it_keeps_the_highest(plain: nn.Module, probe: Probe) -> None:
    compressed = build_method("snip", 10, score_mode="eval").compress(plain, probe)
    scores = mask_gradient(plain.eval(), probe)
    kept = compressed.weight_map.slots() >= 0
    assert scores[kept].min() >= scores[~kept].max()

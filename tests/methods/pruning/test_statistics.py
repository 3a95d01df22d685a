"""Scores in eval mode, by statistics that were taken from the probe first."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from rps_bench.core.errors import UserError
from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.pruning.grasp import Grasp
from rps_bench.methods.pruning.snip import Snip
from rps_bench.methods.pruning.statistics import probe_statistics

METHODS = {"snip": Snip, "grasp": Grasp}


def statistics_of(layer: nn.Module) -> list[torch.Tensor]:
    return [layer.get_buffer(name).clone() for name in ("running_mean", "running_var")]


@pytest.mark.parametrize("name", METHODS)
def test_scores_are_those_after_pytorchs_own_update(
    name: str, resnet: nn.Module, probe: Probe
) -> None:
    double = probe[0].double(), probe[1]
    resnet.double()
    updated = copy.deepcopy(resnet)
    update_bn([double[0]], updated)
    expected = METHODS[name](10, score_mode="eval").scores(updated, double)
    # The other modes' scores are far off, so the test can tell.
    for mode in ("eval", "train"):
        other = METHODS[name](10, score_mode=mode).scores(copy.deepcopy(resnet), double)
        assert not torch.allclose(expected, other, rtol=0.01)
    found = METHODS[name](10, score_mode="probe").scores(resnet, double)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12 * expected.abs().max().item())


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("num_images", [20, 256, 601])
def test_statistics_by_hand_and_gone_afterwards(
    num_images: int, momentum: float | None, plain: nn.Module, make_probe: Callable[..., Probe]
) -> None:
    """Of several passes the mean of theirs, by their images; bit for bit as before afterwards."""
    probe = make_probe(num_images, 4)
    conv, norm = plain.double().eval().children().__next__(), plain.get_submodule("1")
    norm.momentum = momentum  # type: ignore[assignment]
    norm.get_buffer("running_mean").fill_(torch.nan)
    norm.get_buffer("running_var").uniform_(1, 3)
    norm.get_buffer("num_batches_tracked").fill_(7)
    before = copy.deepcopy(plain.state_dict())
    images = probe[0].double()
    features = conv(images).detach().transpose(0, 1).reshape(4, num_images, -1)
    # 601 images go in passes of 201, 201 and 199.
    passes = features.split(201 if num_images == 601 else num_images, dim=1)
    shares = [part.shape[1] / num_images for part in passes]
    variances = [part.var(dim=(1, 2)) * share for part, share in zip(passes, shares, strict=True)]
    with probe_statistics(plain, (images, probe[1]), "snip"):
        mean, variance = statistics_of(norm)
        assert not any(module.training for module in plain.modules())
    torch.testing.assert_close(mean, features.mean(dim=(1, 2)), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(variance, sum(variances), rtol=1e-10, atol=0)
    after = plain.state_dict()
    assert all(torch.equal(after[k], before[k]) or after[k].isnan().all() for k in before)
    assert after["1.running_mean"].isnan().all()
    assert norm.momentum == momentum


@pytest.mark.parametrize("name", METHODS)
def test_a_failure_while_scoring_leaves_no_statistics(
    name: str, plain: nn.Module, probe: Probe
) -> None:
    before = copy.deepcopy(plain.state_dict())
    method: Any = METHODS[name](10, score_mode="probe")
    with pytest.raises(UserError, match="labels from 0 to 9"):
        method.scores(plain, (probe[0], probe[1] + 5))
    after = plain.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_nothing_is_dropped_out_while_statistics_are_taken(probe: Probe) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.BatchNorm1d(192), nn.Linear(192, 10))
    with probe_statistics(model.eval(), probe, "snip"):
        mean, _ = statistics_of(model[2])
    torch.testing.assert_close(mean, probe[0].flatten(1).mean(0), rtol=1e-5, atol=1e-6)


def test_each_round_takes_its_own(resnet: nn.Module, probe: Probe) -> None:
    """Statistics of the weights that are left: another mask than by those of all."""
    masks = [
        build_method("snip", 20, score_mode="probe", rounds=rounds).compress(resnet, probe)
        for rounds in (1, 3)
    ]
    slots = [mask.weight_map.slots() for mask in masks]
    assert not torch.equal(slots[0], slots[1])
    assert all(int((mask >= 0).sum()) == len(slots[0]) // 20 for mask in slots)


def test_one_image_has_no_statistics(probe: Probe) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.BatchNorm1d(10))
    method = build_method("snip", 10, score_mode="probe")
    with pytest.raises(UserError, match=r"one image alone.*method\.score_mode=eval"):
        method.compress(model, (probe[0][:1], probe[1][:1]))

"""How weights lie in the flat vector."""

import pytest
import torch
from torch import nn

from rps_bench.methods.layout import (
    flatten_weights,
    init_stds_of,
    layer_sizes,
    layout_of,
    num_weights,
    split_weights,
)
from rps_bench.models import build_model


def test_flat_order_is_module_order(plain: nn.Module) -> None:
    convolution, linear = plain[0], plain[5]  # type: ignore[index]
    assert layout_of(plain) == (("0.weight", (4, 3, 3, 3)), ("5.weight", (10, 16)))
    expected = convolution.weight.flatten().tolist() + linear.weight.flatten().tolist()
    assert flatten_weights(plain).tolist() == expected


def test_a_bare_layer_is_a_network() -> None:
    assert layout_of(nn.Linear(3, 2)) == (("weight", (2, 3)),)


def test_normalisation_and_biases_are_left_out() -> None:
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.LayerNorm(4), nn.Linear(4, 2))
    assert [name for name, _ in layout_of(model)] == ["0.weight", "3.weight"]
    assert num_weights(layout_of(model)) == 18 + 8
    assert layer_sizes(layout_of(model)) == (18, 8)


def test_flattening_copies(plain: nn.Module) -> None:
    before = plain[0].weight.detach().clone()  # type: ignore[index]
    flatten_weights(plain).zero_()
    assert torch.equal(plain[0].weight, before)  # type: ignore[index]


def test_split_is_the_inverse_and_shares_memory() -> None:
    model = build_model("resnet20", 10, 2)
    flat = flatten_weights(model)
    pieces = split_weights(flat, layout_of(model))
    weights = [weight for weight in model.parameters() if weight.dim() > 1]
    assert all(torch.equal(a, b) for a, b in zip(pieces, weights, strict=True))
    pieces[0].zero_()
    assert not flat[: pieces[0].numel()].any()


def test_stds_are_those_of_each_layer(plain: nn.Module) -> None:
    assert init_stds_of(plain) == pytest.approx(((3 * 27) ** -0.5, (3 * 16) ** -0.5))
    kaiming = build_model("resnet20", 10, 4)
    stds = init_stds_of(kaiming)
    assert stds[0] == pytest.approx((2 / 27) ** 0.5)
    assert stds[-1] == pytest.approx((2 / 16) ** 0.5)

"""The small ConvNeXt: its blocks are torchvision's without the scale behind them."""

import pytest
import torch
from torchvision.models.convnext import CNBlock

from rps_bench.models import build_model
from rps_bench.models.convnext import Block, ChannelNorm


@torch.no_grad()
def test_a_block_is_that_of_torchvision() -> None:
    torch.manual_seed(0)
    own, theirs = Block(6).eval(), CNBlock(6, 1.0, 0.0).eval()
    pairs = [(own.depthwise, 0), (own.norm, 2), (own.wide, 3), (own.narrow, 5)]
    for layer, place in pairs:
        theirs.block[place].load_state_dict(layer.state_dict())
    theirs.block[2].eps = own.norm.eps  # 1e-6 there
    images = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(own(images), theirs(images), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_channels_are_normalised_at_each_pixel() -> None:
    normed = ChannelNorm(64)(3 + 2 * torch.randn(2, 64, 4, 5))
    torch.testing.assert_close(normed.mean(1), torch.zeros(2, 4, 5), rtol=0, atol=1e-5)
    torch.testing.assert_close(normed.var(1, correction=0), torch.ones(2, 4, 5), rtol=0, atol=1e-3)


def test_stages_halve_the_image_and_double_the_channels() -> None:
    model = build_model("convnext_mini", 7, 4).eval()
    shapes = []
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 7)
    assert shapes == [(4, 16, 16)] * 3 + [(8, 8, 8)] * 5 + [(16, 4, 4)] * 3


@pytest.mark.parametrize("size", [8, 9, 16])
def test_any_image_size_from_eight_up(size: int) -> None:
    model = build_model("convnext_mini", 7, 2).eval()
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 7)

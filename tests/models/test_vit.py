"""ViT-Tiny: its blocks are torchvision's, its positions are waves, and any image size goes."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.vision_transformer import EncoderBlock

from rps_bench.models import build_model
from rps_bench.models.vit import Attention, Block, fixed_positions


@torch.no_grad()
def test_a_block_is_that_of_torchvision() -> None:
    torch.manual_seed(0)
    own, theirs = Block(24).eval(), EncoderBlock(3, 24, 96, 0.0, 0.0, nn.LayerNorm).eval()
    pairs = [
        (own.norm1, theirs.ln_1),
        (own.norm2, theirs.ln_2),
        (own.wide, theirs.mlp[0]),
        (own.narrow, theirs.mlp[3]),
        (own.attention.projection, theirs.self_attention.out_proj),
    ]
    for one, other in pairs:
        other.load_state_dict(one.state_dict())
    theirs.self_attention.in_proj_weight.copy_(own.attention.qkv.weight)
    theirs.self_attention.in_proj_bias.copy_(own.attention.qkv.bias)
    tokens = torch.randn(2, 5, 24)
    torch.testing.assert_close(own(tokens), theirs(tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [7, 24])
def test_attention_and_its_gradients_are_those_of_pytorch(width: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    own, tokens = Attention(width), torch.randn(3, 6, width)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        found = own(tokens)
        heads = own.qkv(tokens).unflatten(-1, (3, 3, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        expected = own.projection(mixed)
    error = 1e-5 if dtype == torch.float32 else 3e-2
    torch.testing.assert_close(found, expected, rtol=error, atol=error)
    weight = own.qkv.weight
    slopes = [torch.autograd.grad(part.square().sum(), weight) for part in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=error, atol=error * tokens.shape[1])


def test_the_whole_is_its_parts_in_order() -> None:
    model = build_model("vit_tiny", 7, 8, torch.Generator().manual_seed(0)).eval()
    images = torch.randn(2, 3, 8, 12)
    parts = dict(model.named_children())
    tokens = parts["stem"](images).flatten(2).transpose(1, 2) + fixed_positions(2, 3, 8)
    pooled = parts["norm"](parts["blocks"](tokens)).mean(1)
    torch.testing.assert_close(model(images), parts["classifier"](pooled))


def test_positions_are_waves_of_rows_and_columns() -> None:
    positions = fixed_positions(3, 4, 8)
    assert positions.shape == (12, 8)
    by_place = positions.view(3, 4, 8)
    assert torch.equal(by_place[:, 0, :4], by_place[:, 3, :4])  # the row alone
    assert torch.equal(by_place[0, :, 4:], by_place[2, :, 4:])  # the column alone
    angles = torch.tensor([2.0, 2e-4])
    torch.testing.assert_close(by_place[2, 0, :4], torch.cat([angles.sin(), angles.cos()]))
    assert len({tuple(row) for row in positions.tolist()}) == 12


@pytest.mark.parametrize("size", [4, 7, 16, 32])
@pytest.mark.parametrize("width", [1, 5, 12])
def test_any_size_and_width(size: int, width: int) -> None:
    model = build_model("vit_tiny", 7, width).eval()
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 7)

"""VGG-11 against the spec's sentence, written out as plain function calls."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.models import build_model
from rps_bench.models.vgg import VGG11


def by_hand(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    features = images
    for place, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        features = F.conv2d(features, convolution.weight, convolution.bias, padding=1)
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        shape = (1, -1, 1, 1)
        features = (features - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt()
        features = features * norm.weight.view(shape) + norm.bias.view(shape)
        features = features.clamp(min=0)
        if place in (0, 1, 3, 5):
            features = F.max_pool2d(features, 2)
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert len(linear) == 1
    return features.flatten(2).mean(2) @ linear[0].weight.T + linear[0].bias


def test_forward_is_the_specs_network() -> None:
    generator = torch.Generator().manual_seed(0)
    model = build_model("vgg11", 10, 2, generator).double().eval()
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if name.endswith(("bias", "running_mean")):
                tensor.normal_(generator=generator)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2, generator=generator)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(model(images), by_hand(model, images), rtol=1e-10, atol=1e-10)


def test_channels_follow_the_width() -> None:
    model = build_model("vgg11", 10, 3)
    channels = [layer.out_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert channels == [3, 6, 12, 12, 24, 24, 24, 24]
    assert all(layer.bias is not None for layer in model.modules() if isinstance(layer, nn.Conv2d))


def test_the_multiply_adds_are_those_of_the_spec() -> None:
    """152,769,536 for a 32x32 image, from the layers' shapes and the sizes they meet."""
    with torch.device("meta"):
        model = build_model("vgg11")
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    sides = (32, 16, 8, 8, 4, 4, 2, 2)
    macs = sum(
        layer.weight.numel() * side * side for layer, side in zip(convolutions, sides, strict=True)
    )
    assert macs + 512 * 10 == 152_769_536


@pytest.mark.parametrize("size", [16, 64])
def test_any_image_size_from_sixteen_up(size: int) -> None:
    model = build_model("vgg11", 7, 2).eval()
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_smaller_images_than_it_says_it_cannot_take() -> None:
    size = VGG11.smallest_image
    model = build_model("vgg11", 7, 2).eval()
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 7)
    with pytest.raises(RuntimeError, match="too small"):
        model(torch.zeros(2, 3, size - 1, size - 1))

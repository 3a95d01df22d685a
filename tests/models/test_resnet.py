"""ResNet-20 against the spec's sentence, written out as plain function calls."""

import pytest
import torch
import torch.nn.functional as F

from rps_bench.models import build_model

State = dict[str, torch.Tensor]


def normalised(state: State, name: str, features: torch.Tensor) -> torch.Tensor:
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    shape = (1, -1, 1, 1)
    scaled = (features - mean.view(shape)) / (variance.view(shape) + 1e-5).sqrt()
    return scaled * state[f"{name}.weight"].view(shape) + state[f"{name}.bias"].view(shape)


def by_hand(state: State, images: torch.Tensor) -> torch.Tensor:
    features = F.conv2d(images, state["stem.weight"], padding=1)
    features = normalised(state, "bn", features).clamp(min=0)
    for block in range(9):
        stride, name = (2 if block in (3, 6) else 1), f"blocks.{block}"
        inner = F.conv2d(features, state[f"{name}.conv1.weight"], stride=stride, padding=1)
        inner = normalised(state, f"{name}.bn1", inner).clamp(min=0)
        inner = F.conv2d(inner, state[f"{name}.conv2.weight"], padding=1)
        inner = normalised(state, f"{name}.bn2", inner)
        if block in (3, 6):
            features = F.conv2d(features, state[f"{name}.shortcut.0.weight"], stride=2)
            features = normalised(state, f"{name}.shortcut.1", features)
        features = (features + inner).clamp(min=0)
    pooled = features.flatten(2).mean(2)
    return pooled @ state["classifier.weight"].T + state["classifier.bias"]


def test_forward_is_the_specs_network() -> None:
    generator = torch.Generator().manual_seed(0)
    model = build_model("resnet20", 10, 4, generator).double().eval()
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if name.endswith(("bias", "running_mean")):
                tensor.normal_(generator=generator)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2, generator=generator)
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=generator)
    expected = by_hand(model.state_dict(), images)
    torch.testing.assert_close(model(images), expected, rtol=1e-10, atol=1e-10)


def test_the_multiply_adds_are_those_of_the_spec() -> None:
    """40,813,184 for a 32x32 image, counted from the layers' outputs."""
    model, macs = build_model("resnet20").eval(), 0

    def count(layer: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal macs
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        macs += output[0].numel() * weight[0].numel()

    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            layer.register_forward_hook(count)
    model(torch.zeros(1, 3, 32, 32))
    assert macs == 40_813_184


@pytest.mark.parametrize("size", [4, 8, 64])
def test_any_image_size_from_four_up(size: int) -> None:
    model = build_model("resnet20", 7, 2).eval()
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_shortcuts_pick_pixels_and_convolve_without_a_stride() -> None:
    """The way round a fault of PyTorch 2.15, see ``BasicBlock.forward``."""
    layers = dict(build_model("resnet20", 10, 2).named_modules())
    shortcuts = [layer for name, layer in layers.items() if name.endswith("shortcut.0")]
    assert [layer.stride for layer in shortcuts] == [(1, 1), (1, 1)]

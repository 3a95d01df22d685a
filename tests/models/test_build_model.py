"""Exact sizes of every network of the spec, the door's errors, and seeded draws."""

import pytest
import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.models.base import Network


def on_meta(name: str, num_classes: int, width: int | None = None) -> Network:
    """The network without memory: only its shapes count here."""
    with torch.device("meta"):
        return build_model(name, num_classes, width)


def num_total(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def num_compressible(model: nn.Module) -> int:
    """Of parameters with more than one axis: convolution and linear weights, nothing else."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.dim() > 1)


@pytest.mark.parametrize(
    ("name", "num_classes", "total", "n"),
    [
        ("resnet20", 10, 272_474, 270_896),
        ("resnet20", 100, 278_324, 276_656),
        ("resnet20", 200, 284_824, 283_056),
        ("vgg11", 10, 9_231_114, 9_222_848),
        ("vgg11", 100, 9_277_284, 9_268_928),
        ("vgg11", 200, 9_328_584, 9_320_128),
        ("vit_tiny", 10, 5_350_090, 5_319_552),
        ("convnext_mini", 10, 1_872_714, 1_862_016),
    ],
)
def test_sizes_are_those_of_the_spec(name: str, num_classes: int, total: int, n: int) -> None:
    model = on_meta(name, num_classes)
    assert num_total(model) == total
    assert num_compressible(model) == n


@pytest.mark.parametrize(
    ("name", "width", "total"),
    [
        ("resnet20", 8, 68_786),
        ("resnet20", 4, 17_534),
        ("resnet20", 2, 4_556),
        ("vgg11", 32, 2_311_562),
        ("vgg11", 16, 579_786),
        ("vgg11", 8, 145_898),
        ("vgg11", 4, 36_954),
        ("vgg11", 2, 9_482),
    ],
)
def test_narrow_sizes_are_those_of_the_spec(name: str, width: int, total: int) -> None:
    assert num_total(on_meta(name, 10, width)) == total


def test_default_width_is_the_architectures_own() -> None:
    assert build_model("resnet20", width=None).width == 16
    assert on_meta("vgg11", 10).width == 64


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_keeps_its_contract(name: str) -> None:
    """Sized by its arguments, drawn as it says, and one output per class."""
    model = build_model(name, 7, 4, torch.Generator().manual_seed(0)).eval()
    assert isinstance(model, Network)
    assert (model.num_classes, model.width) == (7, 4)
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    assert on_meta(name, 10).width == model.default_width >= 1
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert all(hasattr(layer, "init_std") for layer in layers)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_narrowed_is_the_same_kind_with_another_width(name: str) -> None:
    model = build_model(name, 7, 4)
    narrow = model.narrowed(2, torch.Generator().manual_seed(3))
    expected = build_model(name, 7, 2, torch.Generator().manual_seed(3))
    assert type(narrow) is type(model)
    assert (narrow.width, narrow.num_classes) == (2, 7)
    for key, tensor in expected.state_dict().items():
        assert torch.equal(narrow.state_dict()[key], tensor), key


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_one_generator_seed_gives_one_set_of_weights(name: str) -> None:
    def draw(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(torch.seed())  # the global generator must not matter
        return build_model(name, 10, 4, torch.Generator().manual_seed(seed)).state_dict()

    first, again, other = draw(1), draw(1), draw(2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    drawn = [key for key in first if key.endswith("weight") and first[key].dim() > 1]
    assert drawn
    assert not any(torch.equal(first[key], other[key]) for key in drawn)


def test_unknown_name_lists_the_allowed_ones() -> None:
    with pytest.raises(UserError, match=f"resnet21.*{', '.join(ARCHITECTURES)}"):
        build_model("resnet21")


@pytest.mark.parametrize("width", [0, -3])
def test_width_below_one_is_an_error(width: int) -> None:
    with pytest.raises(UserError, match="width"):
        build_model("resnet20", width=width)


def test_no_classes_is_an_error() -> None:
    with pytest.raises(UserError, match="num_classes"):
        build_model("vgg11", num_classes=0)

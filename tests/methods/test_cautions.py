"""What a compressed network's user is warned of: empty layers, and parameters left dense."""

import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from rps_bench.core.errors import CompressionWarning
from rps_bench.methods import METHODS, build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.candidates import count_numbers
from rps_bench.methods.cautions import (
    collapsed_layers,
    parameters_left_dense,
    warn_of_collapse,
)
from rps_bench.methods.choice import WeightChoice
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.weight_map import SelectionMap
from rps_bench.models import ARCHITECTURES, build_model


@pytest.fixture
def heard() -> Iterator[list[warnings.WarningMessage]]:
    """All warnings of a test, none of them an error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def lines(heard: list[warnings.WarningMessage]) -> list[str]:
    assert all(warning.category is CompressionWarning for warning in heard)
    return [str(warning.message) for warning in heard]


def keep(model: nn.Module, *positions: int) -> CompressedModel:
    num_weights = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    kept = torch.tensor(positions)
    return CompressedModel(model, SelectionMap(num_weights, kept), torch.ones(len(positions)))


def three_layers() -> nn.Sequential:
    """Weights 0 to 5, 6 to 14, 15 to 17."""
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 1))


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ((0, 6, 15), []),
        ((5, 14, 17), []),
        ((6, 7, 15), ["0.weight"]),
        ((0, 5, 16), ["1.weight"]),
        ((0, 14), ["2.weight"]),
        ((7,), ["0.weight", "2.weight"]),
    ],
)
def test_layers_without_a_weight_are_named(
    kept: tuple[int, ...], expected: list[str], heard: list[warnings.WarningMessage]
) -> None:
    compressed = keep(three_layers(), *kept)
    assert collapsed_layers(compressed) == expected
    warn_of_collapse(compressed)
    names = ", ".join(expected)
    assert lines(heard) == (
        [f"{len(expected)} of 3 layers keep no weight: {names}"] if expected else []
    )


@pytest.mark.parametrize("name", ["mag", "ltr", "mag_trained"])
def test_compressing_says_so_at_the_callers_line(
    name: str, heard: list[warnings.WarningMessage]
) -> None:
    model = three_layers()
    with torch.no_grad():
        model[1].weight.mul_(1e-6)  # type: ignore[operator]
    before = build_method(name, 18)
    assert not heard
    before.compress(model, (torch.zeros(2, 2), torch.zeros(2, dtype=torch.int64)))
    (line,) = lines(heard)
    assert "1.weight" in line
    assert heard[0].filename == __file__


def test_long_lists_are_cut(heard: list[warnings.WarningMessage]) -> None:
    warn_of_collapse(keep(nn.Sequential(*[nn.Linear(1, 1) for _ in range(30)]), 0))
    (line,) = lines(heard)
    assert line.startswith("29 of 30 layers keep no weight: 1.weight, 2.weight, ")
    assert line.endswith(", 20.weight and 9 more")


class Mixed(nn.Module):
    """One compressible layer; matrices of other kinds; vectors and their like."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.state = nn.GRU(4, 10)
        self.free = nn.Parameter(torch.ones(1, 6, 4))
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.norm = nn.LayerNorm(4)
        self.head = nn.Linear(4, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(images)
        return logits


def test_what_is_left_dense_by_hand(heard: list[warnings.WarningMessage]) -> None:
    model = Mixed()
    compressed = build_method("mag", 2).compress(
        model, (torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64))
    )
    # GRU: 30 x 4 and 30 x 10, and two biases of 30. Vectors: scale 4, norm 8, bias 4.
    expected = {"free": 24, "state.weight_ih_l0": 120, "state.weight_hh_l0": 300}
    left = parameters_left_dense(model, WeightChoice())
    assert {own.names[0]: count_numbers(own.parameter) for own in left} == expected
    assert compressed.stored.numel() == (40 + 16) // 2
    total = 40 + 24 + 120 + 300 + 60 + 4 + 8 + 16 + 4
    assert sum(p.numel() for p in model.parameters()) == total == 576
    assert lines(heard) == [
        "the compression leaves 77.1% of the network's parameters dense, beside biases and "
        "normalisation: free (4.17%), state.weight_ih_l0 (20.8%), state.weight_hh_l0 (52.1%)"
    ]


def test_a_tied_weight_is_compressed_under_either_name() -> None:
    model = Mixed()
    model.table.weight = nn.Parameter(torch.ones(4, 4))
    model.head.weight = model.table.weight
    left = [own.names[0] for own in parameters_left_dense(model, WeightChoice())]
    assert left == ["free", "state.weight_ih_l0", "state.weight_hh_l0"]


def test_what_is_left_dense_by_wish_is_not_said(heard: list[warnings.WarningMessage]) -> None:
    build_method("mag", 2, exclude="head", min_size=4).compress(Mixed(), no_probe())
    (line,) = lines(heard)
    assert "state" in line
    assert "head" not in line


def no_probe() -> Probe:
    return torch.eye(4)[:2], torch.arange(2)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("small", "roast")])
def test_every_method_that_leaves_something_says_it_once(
    name: str, heard: list[warnings.WarningMessage]
) -> None:
    """Dense stores everything, and so does a method at compression 1, where it has one."""
    compression = {"dense": 1, "kmeans": 4}.get(name, 2)
    build_method(name, compression).compress(Mixed(), no_probe())
    left = [line for line in lines(heard) if "dense" in line]
    assert len(left) == (name != "dense")
    heard.clear()
    if name != "kmeans":
        build_method(name, 1).compress(Mixed(), no_probe())
        assert heard == []


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("name", [name for name in METHODS if name != "dense"])
def test_nothing_is_said_of_our_own_networks(
    name: str, arch: str, make_probe: Callable[..., Probe], heard: list[warnings.WarningMessage]
) -> None:
    model = build_model(arch, 10, 4, torch.Generator().manual_seed(1))
    options = {"synflow": {"rounds": 2}, "roast": {"tile": 4}}.get(name, {})
    compression = 4 if name == "kmeans" else 2
    build_method(name, compression, **options).compress(model, make_probe(20, 32))
    assert lines(heard) == []

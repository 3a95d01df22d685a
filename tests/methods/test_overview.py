"""The table of what is compressed, by hand."""

import pytest
import torch
from torch import nn

from rps_bench.methods import build_method
from rps_bench.methods.base import Probe
from rps_bench.methods.overview import format_weights, list_weights


class Network(nn.Module):
    """60 numbers: 16 + 4, 8, 20 + 4, 8."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)
        self.table, self.scale = nn.Embedding(5, 4), nn.Parameter(torch.ones(4, 1))
        self.last = nn.Linear(4, 2, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(self.norm(self.first(inputs)))
        return logits


@pytest.fixture
def probe() -> Probe:
    return torch.eye(4), torch.arange(4) % 2


@pytest.mark.filterwarnings("ignore:the compression leaves")
def test_before_and_after() -> None:
    model, method = Network(), build_method("mag", 4, exclude="last")
    with torch.no_grad():
        model.table.weight.fill_(0.1)
        model.table.weight[0] = 9
        model.first.weight.fill_(0.1)
        model.first.weight[:, 0] = 8
    rows = list_weights(model, method)
    assert [(row.name, row.shape, row.fate) for row in rows] == [
        ("first.weight", (4, 4), "compressed"),
        ("table.weight", (5, 4), "compressed"),
        ("scale", (4, 1), "compressed only where include has its own name"),
        ("first.bias", (4,), "bias"),
        ("norm.weight", (4,), "normalisation"),
        ("norm.bias", (4,), "normalisation"),
        ("last.weight", (2, 4), "excluded"),
    ]
    assert sum(row.share for row in rows) == pytest.approx(1)
    compressed = method.compress(model, (torch.eye(4), torch.arange(4) % 2))
    assert format_weights(list_weights(model, method, compressed)).splitlines() == [
        "weight        shape  share",
        "first.weight  4 x 4  26.7%  density 0.312",
        "table.weight  5 x 4  33.3%  density 0.2",
        "2 weights of 36 numbers, 60% of the network",
        "dense, compressed only where include has its own name: 6.67% in 1 tensor (scale 4 x 1)",
        "dense, bias: 6.67% in 1 tensor",
        "dense, normalisation: 13.3% in 2 tensors",
        "dense, excluded: 13.3% in 1 tensor (last.weight 2 x 4)",
    ]


@pytest.mark.parametrize(
    ("name", "fate"), [("stable_rps", "shared"), ("dense", "kept whole"), ("rand", "density 0.5")]
)
def test_fates_by_method(name: str, fate: str, probe: Probe) -> None:
    model = nn.Linear(4, 2, bias=False)
    method = build_method(name, 1 if name == "dense" else 2)
    (row,) = list_weights(model, method, method.compress(model, probe))
    assert row.fate == fate


def test_a_network_without_storage_is_listed_alike() -> None:
    method = build_method("mag", 2)
    with torch.device("meta"):
        hollow = Network()
    assert list_weights(hollow, method) == list_weights(Network(), method)

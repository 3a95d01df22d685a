"""What a GPU must compute as the CPU does. Skipped where there is none."""

from pathlib import Path

import pytest
import torch

from rps_bench.methods import METHODS, build_method
from rps_bench.models import build_model
from rps_bench.records import read_records
from tests.conftest import Command

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("name", METHODS)
def test_maps_and_weights_are_those_of_the_cpu(name: str) -> None:
    model = build_model("resnet20", 10, 4, torch.Generator().manual_seed(0))
    probe = (torch.randn(20, 3, 8, 8), torch.arange(20) % 10)
    compression = 1 if name == "dense" else 7
    compressed = build_method(name, compression, seed=3).compress(model, probe)
    weights, slots = compressed.weights().detach(), compressed.weight_map.slots()
    gradient = compressed.weight_map.reduce(weights)
    scale = compressed.gradient_scale()

    compressed = compressed.cuda()
    assert compressed.weights().is_cuda
    torch.testing.assert_close(compressed.weights().detach().cpu(), weights)
    assert torch.equal(compressed.weight_map.slots().cpu(), slots)
    on_gpu = compressed.weight_map.reduce(weights.cuda())
    torch.testing.assert_close(on_gpu.cpu(), gradient)
    torch.testing.assert_close(compressed.gradient_scale().cpu(), scale)


@pytest.mark.parametrize("name", METHODS)
def test_a_smoke_run(name: str, command: Command, tmp_path: Path) -> None:
    assert command(f"method={name}", "recipe=smoke", "arch.width=4", "device=cuda") == 0
    ((record,), _) = read_records(tmp_path / "results")
    assert record["status"] == "completed"
    assert record["config"]["device"] == "cuda:0"
    assert record["provenance"]["gpu_name"]

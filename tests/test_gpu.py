"""What a GPU must compute as the CPU does. Skipped where there is none."""

from pathlib import Path

import pytest
import torch

from rps_bench.methods import METHODS, build_method
from rps_bench.models import build_model
from rps_bench.records import read_records
from tests.alike import results_of, without_times
from tests.conftest import Command

TINY = ("recipe=smoke", "arch.width=4", "device=cuda", "precision=fp32")

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


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("arch", ["resnet20", "vgg11"])
def test_deterministic_runs_are_the_same_to_the_last_bit(
    arch: str, name: str, command: Command, tmp_path: Path
) -> None:
    words = (*TINY, f"arch={arch}", f"method={name}", "deterministic=true", "keep_model=true")
    compression = () if name == "dense" else ("compression=2",)
    for folder in ("a", "b"):
        assert command(*words, *compression, f"results_dir={folder}") == 0
    first, second = (results_of(tmp_path / folder) for folder in ("a", "b"))
    assert first == second
    assert not torch.are_deterministic_algorithms_enabled()


def test_out_of_memory_leaves_the_next_run_alone(command: Command, tmp_path: Path) -> None:
    ordinary = (*TINY, "method=mag", "deterministic=true")
    assert command(*ordinary, "results_dir=fresh") == 0
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2e8) / total)
    try:
        assert command(*TINY, "method=rand", "arch.width=64", "recipe.batch_size=1437") == 1
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    ((failed,), _) = read_records(tmp_path / "results")
    assert failed["reason"].startswith("out of memory: ")
    assert "recipe.batch_size than 1437" in failed["reason"]
    assert command(*ordinary, "results_dir=after") == 0
    ((fresh,), _), ((after,), _) = (read_records(tmp_path / name) for name in ("fresh", "after"))
    assert without_times(fresh) == without_times(after)

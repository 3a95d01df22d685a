"""What a GPU must compute as the CPU does. Skipped where there is none."""

from pathlib import Path

import pytest
import torch

from rps_bench.methods import METHODS, build_method, methods_of
from rps_bench.methods.layout import init_stds_of, layout_of
from rps_bench.methods.sharing import kernels
from rps_bench.methods.sharing.base import SharingMethod
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.models import ARCHITECTURES, build_model
from rps_bench.records import read_records
from rps_bench.runtime.determinism import repeatable_algorithms
from rps_bench.training.loop import Trainer
from tests.alike import results_of, without_times
from tests.conftest import Command

SHARING = methods_of("sharing")
COMPRESSIONS = (1, 10, 100, 1000)
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


def build_sharing_map(name: str, arch: str, compression: float) -> SharingMap:
    with torch.device("meta"):
        model = build_model(arch)
    method = build_method(name, compression, seed=3)
    assert isinstance(method, SharingMethod)
    return method.build_map(layout_of(model), tuple(std / 0.04 for std in init_stds_of(model)))


def draw(count: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(count, dtype=dtype, generator=torch.Generator().manual_seed(count))


def assert_sums_alike(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Sums of up to a thousand terms of size 1 to 10."""
    tolerance = 1e-11 if expected.dtype == torch.float64 else 1e-3
    torch.testing.assert_close(found.cpu(), expected.cpu(), rtol=tolerance / 10, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("name", SHARING)
def test_kernels_compute_what_plain_torch_does(
    name: str, arch: str, compression: float, dtype: torch.dtype
) -> None:
    pytest.importorskip("triton")
    weight_map = build_sharing_map(name, arch, compression).to(dtype=dtype)
    n, m = weight_map.num_weights, weight_map.num_stored
    stored, grad = draw(m, dtype), draw(n, dtype)
    assert kernels.can_run(stored.cuda())

    weights = kernels.expand(weight_map.kernel_layout(), stored.cuda())
    assert torch.equal(weights.cpu(), weight_map.expand_range(stored, 0, n))
    sums = kernels.reduce(weight_map.kernel_layout(), grad.cuda())
    assert_sums_alike(sums, weight_map.reduce_in_torch(grad))
    if name in ("stable_rps", "rpg"):
        for _ in range(3):
            assert torch.equal(kernels.reduce(weight_map.kernel_layout(), grad.cuda()), sums)


@pytest.mark.parametrize("name", SHARING)
def test_deterministic_sums_are_the_same_to_the_last_bit(name: str) -> None:
    weight_map = build_sharing_map(name, "resnet20", 100).cuda()
    grad = draw(weight_map.num_weights, torch.float32).cuda()
    with repeatable_algorithms(True):
        sums = [weight_map.reduce(grad) for _ in range(5)]
    assert all(torch.equal(again, sums[0]) for again in sums)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", SHARING)
def test_a_cuda_graph_holds_recover_and_reduce(name: str, compression: float) -> None:
    pytest.importorskip("triton")
    weight_map = build_sharing_map(name, "resnet20", compression).cuda()
    stored = torch.zeros(weight_map.num_stored, device="cuda", requires_grad=True)
    grad = torch.zeros(weight_map.num_weights, device="cuda")

    def step() -> tuple[torch.Tensor, torch.Tensor]:
        weights = weight_map.recover(stored)
        return weights.detach(), torch.autograd.grad(weights, stored, grad)[0]

    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        weights, sums = step()

    with torch.no_grad():
        stored.copy_(draw(stored.numel(), torch.float32))
    grad.copy_(draw(grad.numel(), torch.float32))
    for _ in range(2):  # a second time, since sums must begin at zero again
        graph.replay()
        expected = weight_map.expand_range(stored.detach(), 0, weight_map.num_weights)
        assert torch.equal(weights, expected)
        assert_sums_alike(sums, weight_map.reduce_in_torch(grad))


@pytest.mark.parametrize("name", METHODS)
def test_a_smoke_run(name: str, command: Command, tmp_path: Path) -> None:
    assert command(f"method={name}", "recipe=smoke", "arch.width=4", "device=cuda") == 0
    ((record,), _) = read_records(tmp_path / "results")
    assert record["status"] == "completed"
    assert record["config"]["device"] == "cuda:0"
    assert record["provenance"]["gpu_name"]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
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


SWEEP = ("-m", *TINY, "method=stable_rps,hashednet,mag,ltr", "compression=2,4", "keep_model=true")


@pytest.mark.parametrize("population", ["3", "auto"])
def test_runs_at_once_are_those_of_one_after_the_other(
    population: str, command: Command, tmp_path: Path
) -> None:
    words = (*SWEEP, "deterministic=true")
    assert command(*words, "results_dir=alone") == 0
    assert command(*words, "results_dir=at_once", f"population={population}") == 0
    alone, at_once = (results_of(tmp_path / name) for name in ("alone", "at_once"))
    assert alone.keys() == at_once.keys()
    sizes = [record["cost"].pop("population") for record, _ in at_once.values()]
    assert max(sizes) == 3 if population == "3" else max(sizes) > 1
    for run_id, (record, model) in alone.items():
        record["cost"].pop("population")
        assert (record, model) == at_once[run_id], run_id


def test_runs_at_once_are_in_streams_of_their_own_and_share_images(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_step = Trainer.train_step
    streams: dict[int, set[int]] = {}
    images_at: set[int] = set()

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        stream = torch.cuda.current_stream().cuda_stream
        streams.setdefault(trainer.model.stored.data_ptr(), set()).add(stream)
        images_at.add(trainer.dataset.train.images.data_ptr())
        return take_step(trainer, images, labels)

    monkeypatch.setattr(Trainer, "train_step", step)
    assert command("-m", *TINY, "method=mag,rand,snip", "population=3") == 0
    assert all(len(used) == 1 for used in streams.values())
    assert len(set.union(*streams.values())) == 3
    assert torch.cuda.default_stream().cuda_stream not in set.union(*streams.values())
    assert len(images_at) == 1


def test_out_of_memory_beside_others_is_tried_again_alone(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*TINY, "arch.width=32", "recipe.batch_size=1437")
    assert command(*words, "results_dir=one", "method=mag") == 0
    ((one,), _) = read_records(tmp_path / "one")
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    room = torch.cuda.memory_reserved() + 2.2 * one["cost"]["peak_memory_bytes"]
    torch.cuda.set_per_process_memory_fraction(room / total)
    try:
        assert command("-m", *words, "method=mag,rand,snip,dense", "population=4") == 0
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    records, _ = read_records(tmp_path / "results")
    assert [record["status"] for record in records] == ["completed"] * 4
    assert "out of memory beside other runs, tried again alone" in capsys.readouterr().out


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

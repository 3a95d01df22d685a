"""The door of the kernels, and their checks in Triton's interpreter, which needs no GPU."""

import copy
import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rps_bench.methods.layout import Layout
from rps_bench.methods.sharing import kernels
from rps_bench.methods.sharing.balanced import BalancedMap
from rps_bench.methods.sharing.hashed import HashedMap
from rps_bench.methods.sharing.randomfold import RandomFoldMap
from rps_bench.methods.sharing.sharing_map import SharingMap
from rps_bench.methods.sharing.tiles import TiledMap

REPOSITORY = Path(__file__).parents[3]
LAYOUT: Layout = (("weight", (4, 5)),)
MAPS = [
    RandomFoldMap(LAYOUT, [1.0], 10, 0),
    BalancedMap(LAYOUT, [1.0], 10, 0),
    HashedMap(LAYOUT, [1.0], 10, 0),
    TiledMap(LAYOUT, [1.0], 10, 0, 2),
]


def run_python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs Triton")
def test_kernels_in_the_interpreter() -> None:
    checks = Path(__file__).with_name("interpreted_kernels.py")
    result = run_python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", str(checks), TRITON_INTERPRET="1"
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "skipped" not in result.stdout


def test_a_cpu_tensor_runs_in_plain_torch() -> None:
    """Without so much as importing Triton."""
    program = (
        "import sys, torch\n"
        "from rps_bench.methods.sharing.hashed import HashedMap\n"
        "weight_map = HashedMap((('weight', (4, 5)),), [1.0], 10, 0)\n"
        "weight_map.reduce(weight_map.expand(torch.ones(10)))\n"
        "print('rps_bench.methods.sharing.kernels.grid' in sys.modules)"
    )
    result = run_python("-c", program)
    assert (result.returncode, result.stdout) == (0, "False\n"), result.stderr


def test_a_broken_triton_means_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> torch.Tensor:
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(kernels, "expand", fail)
    assert not kernels._triton_works.__wrapped__(torch.device("cpu"))


@pytest.mark.parametrize("weight_map", MAPS, ids=lambda weight_map: weight_map.kind)
def test_every_map_asks_for_its_kernels(
    weight_map: SharingMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "can_run", lambda values: True)
    monkeypatch.setattr(kernels, "expand", lambda layout, stored: torch.full((20,), 3.0))
    monkeypatch.setattr(kernels, "reduce", lambda layout, grad: torch.full((10,), 5.0))
    stored = torch.zeros(10, requires_grad=True)
    weights = weight_map.recover(stored)
    (grad,) = torch.autograd.grad(weights.sum(), stored)
    assert weights.tolist() == [3.0] * 20
    assert grad.tolist() == [5.0] * 10


class ModularMap(SharingMap):
    """slot = i mod m, and nothing said of a kernel."""

    kind = "modular_without_kernel"

    def slots_between(self, start: int, stop: int) -> torch.Tensor:
        return self.positions_between(start, stop) % self.num_stored


def test_a_map_without_a_kernel_stays_in_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwards and backwards, with the numbers that it has on a CPU."""
    weight_map = ModularMap(LAYOUT, [0.5], 10, 0)
    stored, grad = torch.randn(10), torch.randn(20)
    weights, sums = weight_map.expand(stored), weight_map.reduce(grad)

    monkeypatch.setattr(kernels, "can_run", lambda values: True)
    for name in ("expand", "reduce"):
        monkeypatch.delattr(kernels, name)
    assert torch.equal(weight_map.expand(stored), weights)
    assert torch.equal(weight_map.reduce(grad), sums)
    read = stored.clone().requires_grad_()
    (backward,) = torch.autograd.grad(weight_map.recover(read), read, grad)
    assert torch.equal(backward, sums)


def test_a_copy_and_a_pickle_hold_no_tables_of_a_gpu() -> None:
    """Which would name a GPU that the reader may lack, beside tensors moved to a CPU."""
    weight_map = HashedMap(LAYOUT, [1.0], 10, 0)
    place = torch.device("cpu"), torch.float32
    weight_map.kernel_layout().tables[place] = (torch.zeros(1),)
    for twin in (copy.deepcopy(weight_map), pickle.loads(pickle.dumps(weight_map))):
        assert twin.kernel_layout().tables == {}
        assert twin.kernel_layout() == weight_map.kernel_layout()
    assert place in weight_map.kernel_layout().tables

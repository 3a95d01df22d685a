"""Names of devices, on machines with and without GPUs."""

import pytest
import torch

from rps_bench.core.errors import UserError
from rps_bench.runtime.devices import available_devices, resolve_device


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> "Machine":
    return Machine(monkeypatch)


class Machine:
    """Pretends what is there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.has()

    def has(self, num_gpus: int = 0) -> None:
        self.monkeypatch.setattr(torch.cuda, "device_count", lambda: num_gpus)


def test_available_devices(machine: Machine) -> None:
    assert available_devices() == ["cpu"]
    machine.has(num_gpus=2)
    assert available_devices() == ["cpu", "cuda:0", "cuda:1"]


def test_auto_is_the_first_gpu_else_the_cpu(machine: Machine) -> None:
    assert resolve_device("auto") == torch.device("cpu")
    machine.has(num_gpus=1)
    assert resolve_device("auto") == torch.device("cuda:0")
    machine.has(num_gpus=3)
    assert resolve_device("auto") == torch.device("cuda:0")


def test_a_device_that_is_there(machine: Machine) -> None:
    machine.has(num_gpus=2)
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("cuda") == torch.device("cuda:0")
    assert resolve_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7", "mps", "gpu", "CPU", "", "cpu:0"])
def test_a_device_that_is_not_there_names_the_allowed_ones(name: str, machine: Machine) -> None:
    with pytest.raises(UserError) as caught:
        resolve_device(name)
    message = str(caught.value)
    assert message.partition("; did you mean")[0].endswith("auto, cpu")
    assert name in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["cuda:2", "cuda:-1", "cuda:", "tpu", "mps"])
def test_with_gpus_their_names_are_allowed(name: str, machine: Machine) -> None:
    machine.has(num_gpus=2)
    with pytest.raises(UserError, match=r"auto, cpu, cuda:0, cuda:1($|; did you mean)"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("name", "num_gpus", "hint"),
    [
        ("gpu", 0, ""),
        ("GPU", 2, "; did you mean cuda?"),
        ("gpu:1", 2, "; did you mean cuda:1?"),
        ("cpus", 2, "; did you mean cpu?"),
    ],
)
def test_who_asks_for_a_gpu_is_not_sent_to_the_cpu(
    name: str, num_gpus: int, hint: str, machine: Machine
) -> None:
    machine.has(num_gpus)
    with pytest.raises(UserError) as caught:
        resolve_device(name)
    listed = ", ".join(["auto", "cpu", *(f"cuda:{index}" for index in range(num_gpus))])
    assert str(caught.value) == f"device {name} is not there; allowed here: {listed}{hint}"

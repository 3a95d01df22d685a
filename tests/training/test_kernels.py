"""Whole trainings and commands by each set of kernels: steps alone are theirs, files never."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rps_bench.datasets.base import Dataset
from rps_bench.engine import choose
from rps_bench.engine.choose import resolve_kernels
from rps_bench.engine.convolution import Convolution
from rps_bench.engine.native import Native
from rps_bench.methods import build_method
from rps_bench.methods.compressed import CompressedModel
from rps_bench.models import build_model
from rps_bench.training.loop import Trainer, Training
from rps_bench.training.recipe import Recipe
from rps_bench.training.state import TrainingState
from tests.alike import without_times
from tests.conftest import Command
from tests.test_run import leave_after_one_epoch, records_in

# Where products and native kernels both have passes: up to 256 channels on images of 1x1 to 8x8.
ARCH, WIDTH = "vgg11", 32
FAST = ("products", "native")
TINY = (
    "recipe=smoke", "recipe.max_steps_per_epoch=2", "recipe.batch_size=16", "dataset=digits",
    f"arch={ARCH}", f"arch.width={WIDTH}", "device=cpu", "precision=fp32",
)  # fmt: skip
# Relative, of the losses of five steps in float32 at a rate of 0.002. Measured: 4e-6.
TOLERANCE = 2e-4


def name_of(kernels: str) -> str:
    return resolve_kernels(kernels, torch.device("cpu"), lambda line: None)


def compress(arch: str = ARCH, width: int = WIDTH) -> CompressedModel:
    model = build_model(arch, 10, width, torch.Generator().manual_seed(0))
    probe = (torch.randn(20, 3, 16, 16, generator=torch.Generator().manual_seed(5)),)
    return build_method("stable_rps", 10, seed=0).compress(model, (*probe, torch.arange(20) % 10))


def train(
    digits: Dataset,
    kernels: str,
    num_epochs: int = 1,
    start: CompressedModel | None = None,
    precision: str = "fp32",
) -> tuple[list[float], CompressedModel]:
    """The losses of steps and evaluations, five steps an epoch, and the trained model."""
    recipe = Recipe("test", num_epochs, 20, 0.002, 0.9, False, 1e-4, "one_cycle", (), 0.1)
    trainer = Trainer(start or compress(), Training(digits, recipe, 0, precision, kernels))
    losses: list[float] = []
    original = trainer.train_step

    def train_step(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = original(images, labels)
        losses.append(float(loss.detach()))
        return loss

    trainer.train_step = train_step  # type: ignore[method-assign]
    outcome = trainer.train()
    return [*losses, *(epoch.loss for epoch in outcome.epochs)], trainer.model


@pytest.mark.parametrize("kernels", FAST)
def test_losses_are_those_of_pytorch_but_for_rounding(
    kernels: str, digits: Dataset, native: Native
) -> None:
    found, expected = train(digits, name_of(kernels))[0], train(digits, "plain")[0]
    assert len(found) == 6
    assert found == pytest.approx(expected, rel=TOLERANCE)
    assert found != expected  # else the set was not used


@pytest.mark.parametrize("kernels", FAST)
def test_twenty_steps_are_the_same_every_time(
    kernels: str, digits: Dataset, native: Native
) -> None:
    (first, model), (second, again) = (train(digits, name_of(kernels), 4) for _ in range(2))
    assert len(first) == 24
    assert first == second
    own, other = model.state_dict(), again.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in own)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("arch", "width"), [("resnet20", 16), (ARCH, WIDTH)])
@pytest.mark.parametrize("kernels", FAST)
def test_the_number_of_threads_changes_no_bit(
    kernels: str, arch: str, width: int, precision: str, digits: Dataset, native: Native
) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2, 3):
            torch.set_num_threads(num_threads)
            start = compress(arch, width)
            found.append(train(digits, name_of(kernels), 1, start, precision))
            assert torch.get_num_threads() == num_threads
    finally:
        torch.set_num_threads(before)
    (losses, model), *others = found
    for other_losses, other in others:
        assert other_losses == losses
        own = other.state_dict()
        assert [key for key, value in model.state_dict().items() if not value.equal(own[key])] == []


@pytest.mark.parametrize("kernels", ["plain", *FAST])
def test_steps_alone_are_done_by_the_kernels(
    kernels: str, digits: Dataset, native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step is, no evaluation is, and what is trained has PyTorch's layers."""
    calls: list[bool] = []
    original = Convolution.apply

    def apply(*arguments: Any) -> Any:
        calls.append(torch.is_grad_enabled())
        return original(*arguments)

    monkeypatch.setattr(Convolution, "apply", apply)
    _, model = train(digits, name_of(kernels), 2)
    assert all(calls)
    assert len(calls) % 10 == 0
    assert bool(calls) == (kernels != "plain")
    expected = [type(module) for module in compress().modules()]
    assert [type(module) for module in model.modules()] == expected


@pytest.mark.parametrize("kernels", FAST)
def test_an_epoch_by_itself_is_done_by_the_kernels(
    kernels: str, digits: Dataset, native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As benchmarks take it."""
    calls: list[bool] = []
    original = Convolution.apply

    def apply(*arguments: Any) -> Any:
        calls.append(True)
        return original(*arguments)

    monkeypatch.setattr(Convolution, "apply", apply)
    recipe = Recipe("test", 1, 20, 0.002, 0.9, False, 1e-4, "one_cycle", (), 0.1)
    Trainer(compress(), Training(digits, recipe, 0, "fp32", name_of(kernels))).train_epoch(1)
    assert calls


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that trainings of this test begin at."""
    found: list[int] = []
    original = Trainer.train

    def train(trainer: Trainer, start: TrainingState | None = None) -> Any:
        found.append(0 if start is None else start.step)
        return original(trainer, start)

    monkeypatch.setattr(Trainer, "train", train)
    return found


@pytest.mark.parametrize("kernels", FAST)
def test_a_stopped_run_goes_on_bit_for_bit(
    kernels: str, command: Command, tmp_path: Path, native: Native, starts: list[int]
) -> None:
    words = (*TINY, f"engine={kernels}", "keep_model=true")
    assert command(*words, "results_dir=whole") == 0
    leave_after_one_epoch(command, *words, "results_dir=stopped")
    assert command(*words, "results_dir=stopped") == 0
    assert starts == [0, 0, 2]
    whole, stopped = (records_in(tmp_path / name) for name in ("whole", "stopped"))
    assert without_times(stopped) == without_times(whole)
    files = [next((tmp_path / name).rglob("*.safetensors")) for name in ("whole", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert whole[0]["config"]["kernels"] == name_of(kernels)
    build = native.build if kernels == "native" else None
    assert whole[0]["provenance"]["kernels_build"] == build


def test_a_state_of_another_set_is_not_used(
    command: Command,
    tmp_path: Path,
    native: Native,
    starts: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = (*TINY, "engine=native")
    leave_after_one_epoch(command, *words)
    monkeypatch.setattr(choose, "NATIVE_VERSION", choose.NATIVE_VERSION + 1)
    assert command(*words) == 0
    assert starts == [0, 0]
    (record,) = records_in(tmp_path / "results")
    assert record["config"]["kernels"] == f"native-{native.instructions}-2"


def test_a_rounded_run_names_the_kernels_of_its_training(
    command: Command, tmp_path: Path, native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(*TINY, "engine=native", "keep_model=true") == 0
    monkeypatch.setattr(choose, "NATIVE_VERSION", choose.NATIVE_VERSION + 1)
    assert command(*TINY, "engine=native", "storage=int8") == 0
    records = records_in(tmp_path / "results")
    named = [(own["config"]["kernels"], own["provenance"]["kernels_build"]) for own in records]
    assert named == [(f"native-{native.instructions}-1", native.build)] * 2


@pytest.mark.slow
def test_levels_of_ltr_are_shared_by_one_set_alone(
    command: Command, tmp_path: Path, native: Native, starts: list[int]
) -> None:
    words = (*TINY, "method=ltr", "method.rewind_steps=1")
    assert command("-m", *words, "compression=2,4", "engine=products") == 0
    num_shared = len(starts)
    assert command(*words, "compression=4", "engine=native") == 0
    assert len(starts) > num_shared + 1
    folders = {path.parent.name for path in (tmp_path / "results").rglob("level-00-*.json")}
    assert len(folders) == 2


def test_plain_trains_by_pytorch_alone(command: Command, tmp_path: Path) -> None:
    assert command(*TINY, "engine=plain") == 0
    (record,) = records_in(tmp_path / "results")
    assert record["config"]["kernels"] == "plain"
    assert record["provenance"]["kernels_build"] is None


def test_auto_trains_by_the_native_kernels_where_there_are_some(
    command: Command, tmp_path: Path, native: Native
) -> None:
    assert command(*TINY) == 0
    (record,) = records_in(tmp_path / "results")
    assert record["config"]["kernels"] == f"native-{native.instructions}-1"

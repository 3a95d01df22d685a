"""What a run holds is gone when it ends, however it ends."""

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from rps_bench.datasets.base import Dataset
from rps_bench.launch.jobs import work_through
from rps_bench.methods import METHODS
from rps_bench.methods.compressed import CompressedModel
from rps_bench.sweep.planning import plan_runs
from rps_bench.training.loop import Trainer
from tests.alike import TINY
from tests.conftest import Command

OPTIONS = {
    "dense": "compression=1",
    "synflow": "compression=2 method.rounds=3",
    "kmeans": "compression=4",
}
KINDS = [
    *(f"method={name} {OPTIONS.get(name, 'compression=2')}" for name in METHODS),
    "method=mag storage=int8",
    "method=mag evaluation_split=validation",
    "method=mag dataset.imbalance=3",
    "method=mag dataset.image_size=16",
    "method=stable_rps recipe.lr=1e30",
    "method=ltr compression=2 recipe.lr=1e30",
    "method=rand recipe.batch_size=16",  # fails
]


@pytest.fixture
def born(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """References to every network and every view of a dataset made so far; nothing is collected."""
    references: list[Any] = []
    for kind in (CompressedModel, Dataset):
        make = kind.__init__

        def watched(self: Any, *arguments: Any, make: Any = make, **options: Any) -> None:
            make(self, *arguments, **options)
            references.append(weakref.ref(self))

        monkeypatch.setattr(kind, "__init__", watched)
    gc.collect()
    gc.disable()
    yield references
    gc.enable()


def test_no_network_and_no_data_outlive_their_run(
    born: list[Any],
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    take_step = Trainer.train_step

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = take_step(trainer, images, labels)
        if len(labels) == 16:
            raise RuntimeError("amid a training")
        return loss

    monkeypatch.setattr(Trainer, "train_step", step)
    assert command(*TINY) == 0  # which fills what is kept on purpose: the embedded images
    born.clear()
    num_tensors = count_tensors()
    for words in KINDS:
        work_through(plan_runs([*TINY, *words.split()], is_sweep=False).configs)
        assert born, words
        assert [ref() for ref in born if ref() is not None] == [], words
        born.clear()
    out = capsys.readouterr().out
    counts = {status: out.count(f"{status}: ") for status in ("completed", "diverged", "failed")}
    assert counts == {"completed": len(METHODS) + 6, "diverged": 2, "failed": 1}
    assert count_tensors() == num_tensors


def count_tensors() -> int:
    """Tensors that something refers to, without what only waits to be collected."""
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

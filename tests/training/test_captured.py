"""Captured steps, as far as they can be tested without a GPU: a stand-in replays by calling again.

What runs on the device itself is in tests/test_gpu.py.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from rps_bench.datasets.base import Dataset
from rps_bench.methods import METHODS
from rps_bench.methods.compressed import CompressedModel
from rps_bench.training import loop
from rps_bench.training.captured import WARM_UP_STEPS, CapturedSteps
from rps_bench.training.loop import Trainer
from rps_bench.training.recipe import Recipe

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def inputs(value: int, size: int) -> Inputs:
    rows = torch.full((size,), value)
    return rows, rows[:, None].expand(-1, 2), rows % 2 == 0


class FakeGraph:
    """Replays by doing the recorded step again, on whatever its inputs hold by then."""

    def __init__(self) -> None:
        self.num_replays = 0

    def replay(self) -> None:
        self.num_replays += 1


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[FakeGraph]:
    """The graphs captured during a test."""
    graphs: list[FakeGraph] = []

    @contextmanager
    def capture(graph: FakeGraph) -> Iterator[None]:
        graphs.append(graph)
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    return graphs


def test_each_batch_size_is_warmed_up_captured_and_replayed(captures: list[FakeGraph]) -> None:
    steps, seen = CapturedSteps(), list[tuple[int, int]]()

    def step(rows: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor) -> None:
        assert shifts.shape == (len(rows), 2)
        assert flips.dtype == torch.bool
        seen.append((len(rows), int(rows[0])))

    for value in range(10):
        steps.do(step, inputs(value, 4))
        if value < 2:
            steps.do(step, inputs(100 + value, 3))
    recorded = [(4, WARM_UP_STEPS)]  # capturing calls it once more, on the inputs of that step
    ordinary = [(4, 0), (3, 100), (4, 1), (3, 101), (4, 2)]
    assert seen == ordinary + recorded
    assert [graph.num_replays for graph in captures] == [10 - WARM_UP_STEPS]


def test_a_replay_finds_its_inputs_in_the_same_memory(captures: list[FakeGraph]) -> None:
    steps, kept = CapturedSteps(), list[Inputs]()
    for value in range(6):
        steps.do(lambda *tensors: kept.append(tensors), inputs(value, 4))
    assert len({tensor.data_ptr() for tensor, _, _ in kept}) == 1
    for found, given in zip(kept[0], inputs(5, 4), strict=True):
        assert torch.equal(found, given)


def test_a_step_that_cannot_be_captured_stays_ordinary(
    captures: list[FakeGraph], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, done = CapturedSteps(), list[int]()
    is_capturing = False

    @contextmanager
    def capture(graph: FakeGraph) -> Iterator[None]:
        nonlocal is_capturing
        is_capturing = True
        try:
            yield
        finally:
            is_capturing = False

    def step(rows: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor) -> None:
        if is_capturing:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        done.append(int(rows[0]))

    monkeypatch.setattr(torch.cuda, "graph", capture)
    for value in range(WARM_UP_STEPS):
        steps.do(step, inputs(value, 4))
    with pytest.warns(UserWarning, match="not captured, so slower: operation not permitted when"):
        steps.do(step, inputs(WARM_UP_STEPS, 4))
    for value in range(WARM_UP_STEPS + 1, 8):
        steps.do(step, inputs(value, 4))
    assert done == list(range(8))


class NoHost(TorchFunctionMode):
    """Refuses what a captured step must not hold: numbers from the host, or waiting for some."""

    FROM_HOST = (torch.tensor, torch.as_tensor, torch.from_numpy)
    TO_HOST = (torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.cpu, torch.Tensor.__bool__)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        assert func not in self.FROM_HOST + self.TO_HOST
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", METHODS)
def test_a_step_waits_for_nothing_and_takes_nothing_from_the_host(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    """On the meta device there are no numbers: whatever asks for one raises."""
    if name == "rpg":
        pytest.skip("its plain walk waits for how many values are outside; its kernel does not")
    meta = torch.device("meta")
    model = compress(name, 1 if name == "dense" else 10)
    scale = model.gradient_scale().to(meta)  # once for a training, which may wait
    monkeypatch.setattr(CompressedModel, "gradient_scale", lambda self: scale)
    monkeypatch.setattr(  # a fused one knows no meta device
        loop, "build_optimizer", lambda model, recipe: torch.optim.SGD(model.parameters(), 0.1)
    )
    dataset = make_dataset().to(meta)
    trainer = Trainer(
        model.to(meta).train(), dataset, make_recipe(), 0, "fp32", lambda done, all_: None
    )
    batch = tuple(torch.empty_like(tensor, device=meta) for tensor in inputs(0, 8))
    trainer._train_on(*batch)  # constants are brought to the device once
    with NoHost():
        trainer._train_on(*batch)

"""Captured steps, as far as they can be tested without a GPU: a stand-in replays by calling again.

What runs on the device itself is in tests/test_gpu.py.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.optim.sgd import sgd as functional_sgd
from torch.overrides import TorchFunctionMode

from rps_bench.datasets.base import Dataset
from rps_bench.methods import METHODS
from rps_bench.methods.compressed import CompressedModel
from rps_bench.training import captured, sgd
from rps_bench.training.captured import WARM_UP_STEPS, CapturedSteps, stream_to_capture_in
from rps_bench.training.loop import Trainer, Training
from rps_bench.training.recipe import Recipe

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def inputs(value: int, size: int) -> Inputs:
    rows = torch.full((size,), value)
    return rows, rows[:, None].expand(-1, 2), rows % 2 == 0


def plain_sgd(*tensors: Any, **how: Any) -> None:
    functional_sgd(*tensors, **how | {"fused": False, "foreach": True})


class FakeGraph:
    """Replays by doing the recorded step again, on whatever its inputs hold by then."""

    def __init__(self) -> None:
        self.num_replays = 0

    def replay(self) -> None:
        self.num_replays += 1


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The streams that are current during a test, innermost last; at first only the default one."""
    streams = ["default"]

    @contextmanager
    def enter(stream: str) -> Iterator[None]:
        depth = len(streams)
        streams.append(stream)
        try:
            yield
        finally:
            del streams[depth:]

    monkeypatch.setattr(torch.cuda, "stream", enter)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: streams[-1])
    monkeypatch.setattr(torch.cuda, "default_stream", lambda device: "default")
    monkeypatch.setattr(captured, "_stream_aside", lambda device: f"aside on {device}")
    return streams


@pytest.fixture
def sync_modes(monkeypatch: pytest.MonkeyPatch) -> list[int | str]:
    """What was set for calls that let the host wait."""
    modes: list[int | str] = [0]
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: modes[-1])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    return modes


@pytest.fixture
def captures(
    monkeypatch: pytest.MonkeyPatch, entered: list[str], sync_modes: list[int | str]
) -> list[FakeGraph]:
    """The graphs captured during a test."""
    graphs: list[FakeGraph] = []

    @contextmanager
    def capture(graph: FakeGraph, stream: str) -> Iterator[None]:
        graphs.append(graph)
        entered.append(stream)
        yield
        entered.pop()  # not after an error, as in PyTorch 2.11

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
    captures: list[FakeGraph], entered: list[str]
) -> None:
    """What comes after it runs in the stream from before."""
    steps, done = CapturedSteps(), list[int]()

    def step(rows: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor) -> None:
        if entered != ["default"]:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        done.append(int(rows[0]))

    for value in range(WARM_UP_STEPS):
        steps.do(step, inputs(value, 4))
    with pytest.warns(UserWarning, match="not captured, so slower: operation not permitted when"):
        steps.do(step, inputs(WARM_UP_STEPS, 4))
    for value in range(WARM_UP_STEPS + 1, 8):
        steps.do(step, inputs(value, 4))
    assert done == list(range(8))
    assert len(captures) == 1


def test_a_step_in_which_the_host_waits_is_not_tried_to_be_captured(
    captures: list[FakeGraph], sync_modes: list[int | str]
) -> None:
    steps, done = CapturedSteps(), list[int]()

    def step(rows: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor) -> None:
        done.append(int(rows[0]))
        if sync_modes[-1] == "warn":
            warnings.warn(
                "called a synchronizing CUDA operation (Triggered internally)", stacklevel=2
            )
            warnings.warn("something else", stacklevel=2)

    for value in range(WARM_UP_STEPS - 1):
        steps.do(step, inputs(value, 4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        steps.do(step, inputs(WARM_UP_STEPS - 1, 4))
    assert [str(own.message) for own in caught] == [
        "something else",
        "the training step is not captured, so slower: the host waits for the GPU in it",
    ]
    assert sync_modes == [0, "warn", 0]
    for value in range(WARM_UP_STEPS, 8):
        steps.do(step, inputs(value, 4))
    assert done == list(range(8))
    assert not captures


def test_a_step_is_captured_in_the_stream_of_its_run_and_on_its_device(
    captures: list[FakeGraph], entered: list[str]
) -> None:
    """Graphs of one stream share scratch memory; a stream of another device captures nothing."""
    found = list[str]()
    for lane in ("default", "lane 1", "lane 2"):
        steps = CapturedSteps()
        with torch.cuda.stream(lane):  # type: ignore[arg-type]
            for value in range(WARM_UP_STEPS + 1):
                steps.do(lambda *tensors: found.append(entered[-1]), inputs(value, 4))
    ordinary = WARM_UP_STEPS + 1
    assert found[WARM_UP_STEPS::ordinary] == ["aside on cpu", "lane 1", "lane 2"]
    assert str(stream_to_capture_in(torch.device("cuda:1"))) == "aside on cuda:1"


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
    monkeypatch.setattr(sgd, "sgd", plain_sgd)  # a fused one knows no meta device
    dataset = make_dataset().to(meta)
    trainer = Trainer(model.to(meta).train(), Training(dataset, make_recipe(), 0, "fp32"))
    batch = tuple(torch.empty_like(tensor, device=meta) for tensor in inputs(0, 8))
    trainer._train_on(*batch)  # constants are brought to the device once
    with NoHost():
        trainer._train_on(*batch)

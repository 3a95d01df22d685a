"""A run goes on from any of its states as if it had never stopped; the states' files."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save as to_safetensors
from torch import nn

from rps_bench.datasets.base import Dataset
from rps_bench.methods import build_method
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files.write import to_bytes
from rps_bench.methods.map_state import KEY
from rps_bench.models import build_model
from rps_bench.training import loop
from rps_bench.training.loop import NonFiniteLossError, Trainer, Training
from rps_bench.training.recipe import Recipe
from rps_bench.training.state import (
    EpochPart,
    EpochResult,
    Outcome,
    TrainingState,
    read_state,
    state_to_bytes,
)
from tests.training.train import train

ENCODED = torch.tensor([1, 2, 3], dtype=torch.uint8)  # stands for a map
RESULT = EpochResult(1, 0.1, 1 / 3, 2.0, 12.5, 0.25)


@dataclass
class Shelf:
    """Keeps every state it is given."""

    snapshot_step: int | None = None
    is_checkpoint_due: bool = False
    snapshots: list[TrainingState] = field(default_factory=list)
    checkpoints: list[TrainingState] = field(default_factory=list)

    def keep_snapshot(self, state: TrainingState) -> None:
        self.snapshots.append(state)

    def keep_checkpoint(self, state: TrainingState) -> None:
        self.checkpoints.append(state)


def timeless(outcome: Outcome) -> Outcome:
    epochs = [replace(epoch, train_seconds=0.0) for epoch in outcome.epochs]
    return replace(outcome, epochs=epochs, train_seconds=0.0)


def assert_same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert tensor.dtype == second[name].dtype, name
        assert torch.equal(tensor, second[name]), name


@pytest.fixture
def reread(tmp_path: Path) -> Callable[[bytes], TrainingState]:
    """What a file of these bytes holds."""

    def read(data: bytes) -> TrainingState:
        path = tmp_path / "state.safetensors"
        path.write_bytes(data)
        return read_state(path)

    return read


def copied(model: CompressedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.fixture
def spoilt(compress: Callable[..., CompressedModel]) -> Callable[[str], CompressedModel]:
    """A network of the right shape with nothing right in it."""

    def make(name: str) -> CompressedModel:
        model = compress(name)
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.fill_(7)
        return model

    return make


@pytest.mark.parametrize("name", ["mag", "stable_rps"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"momentum": 0.0}, {"nesterov": True, "schedule": "step", "drops": (1, 2)}],
    ids=["momentum", "plain", "nesterov"],
)
def test_a_run_goes_on_after_any_epoch_bit_for_bit(
    name: str,
    changes: dict[str, Any],
    compress: Callable[..., CompressedModel],
    spoilt: Callable[[str], CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
    reread: Callable[[bytes], TrainingState],
) -> None:
    recipe, dataset = make_recipe(epochs=3, **changes), make_dataset(flip=True)
    whole, shelf = compress(name), Shelf()
    expected = train(whole, dataset, recipe, 0, "fp32", keeper=shelf)
    assert [state.step for state in shelf.checkpoints] == [5, 10]  # none after the last epoch
    assert [len(state.outcome.epochs) for state in shelf.checkpoints] == [1, 2]
    for state in shelf.checkpoints:
        assert bool(state.momentum) == (recipe.momentum > 0)
        model, told = spoilt(name), list[EpochResult]()
        start = reread(state_to_bytes(state))
        kept = len(state.outcome.epochs)
        outcome = train(model, dataset, recipe, 0, "fp32", on_epoch=told.append, start=start)
        assert timeless(outcome) == timeless(expected)
        assert outcome.epochs[:kept] == expected.epochs[:kept]  # with their seconds
        assert outcome.train_seconds > state.outcome.train_seconds > 0
        assert told == outcome.epochs[kept:]
        assert_same_tensors(model.state_dict(), whole.state_dict())


@pytest.mark.parametrize("changes", [{}, {"momentum": 0.0}, {"max_steps_per_epoch": 3}])
def test_a_run_goes_on_from_any_step_bit_for_bit(
    changes: dict[str, Any],
    compress: Callable[..., CompressedModel],
    spoilt: Callable[[str], CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
    reread: Callable[[bytes], TrainingState],
) -> None:
    """Its epoch's mean loss, too, and without a step again where only the evaluation lacks."""
    recipe, dataset = make_recipe(**changes), make_dataset()
    whole, shelf = compress("mag"), Shelf(snapshot_step=2, is_checkpoint_due=True)
    expected = train(whole, dataset, recipe, 0, "fp32", keeper=shelf)
    num = recipe.steps_per_epoch(37)
    # Before every step, after an epoch's last one, and after its evaluation but for the last epoch.
    steps = [*range(num), num, num, *range(num, 2 * num), 2 * num]
    assert [state.step for state in shelf.checkpoints] == steps
    parts = [state.part.num_images > 0 for state in shelf.checkpoints]
    assert parts == [False, *[True] * num, False, False, *[True] * num]
    for state in (*shelf.checkpoints, *shelf.snapshots):
        assert bool(state.momentum) == (recipe.momentum > 0 and state.step > 0)
        model, again = spoilt("mag"), Shelf(is_checkpoint_due=True)
        start = reread(state_to_bytes(state))
        outcome = train(model, dataset, recipe, 0, "fp32", start=start, keeper=again)
        assert timeless(outcome) == timeless(expected)
        assert_same_tensors(model.state_dict(), whole.state_dict())
        assert again.checkpoints[0].step == state.step
        assert again.checkpoints[0].part.loss_sum == state.part.loss_sum


def test_a_new_run_from_amid_an_epoch_counts_from_there(
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shelf = Shelf(3)
    train(compress("dense", 1), make_dataset(), make_recipe(), 0, "fp32", keeper=shelf)
    losses: list[tuple[float, int]] = []
    original = Trainer.train_step

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = original(trainer, images, labels)
        losses.append((float(loss.detach()), len(labels)))
        return loss

    monkeypatch.setattr(Trainer, "train_step", step)
    rows = torch.arange(0, 500, 5)
    assert shelf.snapshots[0].part.num_images == 24
    start = shelf.snapshots[0].rewound(rows, ENCODED)
    assert (start.outcome, start.part) == (Outcome(), EpochPart())
    assert start.step == 3
    assert torch.equal(start.tensors["stored"], shelf.snapshots[0].tensors["stored"][rows])
    assert torch.equal(start.momentum["stored"], shelf.snapshots[0].momentum["stored"][rows])
    assert start.tensors[KEY] is ENCODED
    for name in start.tensors.keys() - {"stored", KEY}:
        assert torch.equal(start.tensors[name], shelf.snapshots[0].tensors[name])
    for name in start.momentum.keys() - {"stored"}:
        assert torch.equal(start.momentum[name], shelf.snapshots[0].momentum[name])
    tensors = shelf.snapshots[0].tensors
    whole = shelf.snapshots[0].rewound(torch.arange(tensors["stored"].numel()), tensors[KEY])
    outcome = train(compress("dense", 1), make_dataset(), make_recipe(), 0, "fp32", start=whole)
    assert [count for _, count in losses] == [8, 5, 8, 8, 8, 8, 5]
    assert outcome.num_images == 50
    for epoch, seen, count in ((0, losses[:2], 13), (1, losses[2:], 37)):
        mean = sum(loss * size for loss, size in seen) / count
        assert outcome.epochs[epoch].train_loss == pytest.approx(mean, rel=1e-6)
    assert [epoch.epoch for epoch in outcome.epochs] == [1, 2]


def stop(*arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("amid", ["evaluation", "step", "a step", "divergence"])
def test_a_run_that_is_stopped_leaves_a_state_to_go_on_from(
    amid: str,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None where weights and counts do not belong together: amid a step, or after divergence."""
    original, count = Trainer.train_step, 0

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += 1
        if amid == "a step" and count == 8:
            raise KeyboardInterrupt
        loss = original(trainer, images, labels)
        return loss * float("nan") if amid == "divergence" and count == 10 else loss

    shelf, model, whole = Shelf(), compress("mag"), compress("mag")
    expected = train(whole, make_dataset(), make_recipe(), 0, "fp32")
    on_step = stop if amid == "step" else lambda *_: None
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", step)
        if amid == "evaluation":
            patch.setattr(loop, "evaluate", stop)
        if amid == "divergence":
            patch.setattr(NonFiniteLossError, "__str__", stop)
        with pytest.raises(KeyboardInterrupt):
            train(model, make_dataset(), make_recipe(), 0, "fp32", on_step, keeper=shelf)
    assert [state.step for state in shelf.checkpoints] == [5]
    state = shelf.checkpoints[0]
    assert state.part.num_images == (37 if amid in ("evaluation", "step") else 0)
    count = 0
    again = train(compress("mag"), make_dataset(), make_recipe(), 0, "fp32", start=state)
    assert timeless(again) == timeless(expected)


def test_seconds_go_on_where_they_were(
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    original = Trainer.train_step

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        clock.now += 1.0
        return original(trainer, images, labels)

    monkeypatch.setattr(Trainer, "train_step", step)
    shelf = Shelf(is_checkpoint_due=True)
    train(compress("mag"), make_dataset(), make_recipe(), 0, "fp32", keeper=shelf)
    for state in shelf.checkpoints:
        clock.now += 1000.0
        again = train(compress("mag"), make_dataset(), make_recipe(), 0, "fp32", start=state)
        assert [epoch.train_seconds for epoch in again.epochs] == [5.0, 5.0]
        assert again.train_seconds == 10.0


def test_a_state_without_momentum_is_rewound_without() -> None:
    state = TrainingState(0, {"stored": torch.arange(4.0)}, {}, Outcome([RESULT]))
    rewound = state.rewound(torch.tensor([1, 3]), ENCODED)
    assert rewound.tensors["stored"].tolist() == [1, 3]
    assert rewound.momentum == {}
    assert state.tensors["stored"].tolist() == [0, 1, 2, 3]


def test_a_state_is_a_copy(
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    """Neither the run it came from nor the run it starts changes it."""
    trainer = Trainer(compress("mag"), Training(make_dataset(), make_recipe(), 0, "fp32"))
    trainer.train_epoch(1)
    state = trainer.state()
    before = {k: v.clone() for k, v in (state.tensors | state.momentum).items()}
    images = state.outcome.num_images
    trainer.train_epoch(2)
    train(compress("mag"), make_dataset(), make_recipe(), 0, "fp32", start=state)
    assert_same_tensors(state.tensors | state.momentum, before)
    assert state.outcome.num_images == images == 37
    assert state.outcome.epochs == []


def example(momentum: bool = True) -> TrainingState:
    tensors = {
        "stored": torch.tensor([1.5, float("nan"), -0.0]),
        "skeleton.bn.num_batches_tracked": torch.tensor(5),
        "skeleton.bn.weight": torch.ones(2, 3).t(),  # not contiguous
    }
    outcome = Outcome([RESULT], "training loss not finite", 0.1 + 0.2, 37)
    stored = {"stored": torch.arange(3.0)} if momentum else {}
    return TrainingState(5, tensors, stored, outcome, EpochPart(1 / 3, 24, 0.7))


@pytest.mark.parametrize("momentum", [True, False])
def test_bytes_come_back_bit_for_bit(
    momentum: bool, reread: Callable[[bytes], TrainingState]
) -> None:
    state = example(momentum)
    again = reread(state_to_bytes(state))
    assert again.step == 5
    assert (again.outcome, again.part) == (state.outcome, state.part)
    assert again.momentum.keys() == state.momentum.keys()
    assert again.tensors.keys() == state.tensors.keys()
    for name, tensor in (state.tensors | state.momentum).items():
        other = (again.tensors | again.momentum)[name]
        assert other.dtype == tensor.dtype
        assert torch.equal(other.isnan(), tensor.isnan())
        assert torch.equal(other.nan_to_num(), tensor.nan_to_num())
    assert torch.signbit(again.tensors["stored"][2])


def test_a_file_from_before_there_were_parts_is_between_two_epochs(
    reread: Callable[[bytes], TrainingState],
) -> None:
    header = json.dumps({"step": 5, "outcome": Outcome().describe()})
    metadata = {"format": "rps_bench-state-1", "header": header}
    state = reread(to_safetensors({"model/stored": torch.ones(2)}, metadata))
    assert (state.step, state.part) == (5, EpochPart())


def test_an_outcome_is_plain_values() -> None:
    outcome = example().outcome
    assert Outcome.from_description(json.loads(json.dumps(outcome.describe()))) == outcome


def test_an_outcome_from_before_there_were_runs_at_once_was_alone() -> None:
    described = example().outcome.describe()
    del described["num_at_once"]
    assert Outcome.from_description(described) == example().outcome
    with pytest.raises(ValueError, match="num_at_once must be a whole number from 1"):
        Outcome.from_description(described | {"num_at_once": 0})


def test_an_outcome_from_before_accuracy_had_one_name_is_read() -> None:
    described = example().outcome.describe()
    for epoch in described["epochs"]:
        epoch["test_loss"], epoch["test_accuracy"] = epoch.pop("loss"), epoch.pop("accuracy")
    assert Outcome.from_description(described) == example().outcome


@pytest.mark.parametrize("epoch", [[], 5, "ab", [[1, 2]], None])
def test_an_epoch_that_is_no_table_describes_none(epoch: object) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        Outcome.from_description(example().outcome.describe() | {"epochs": [epoch]})


def broken_files() -> dict[str, bytes]:
    whole = state_to_bytes(example())
    zero = {"model/stored": torch.zeros(1)}
    described = Outcome().describe()

    def other(**metadata: str) -> bytes:
        return to_safetensors(zero, {"format": "rps_bench-state-1", **metadata})

    return {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "one byte short": whole[:-1],
        "one byte long": whole + b"\0",
        "its header cut": whole[:40],
        "noise": bytes(range(256)) * 4,
        "text": b"{}",
        "no metadata": to_safetensors(zero),
        "no header": other(),
        "a header that is no JSON": other(header="step"),
        "a header that is no table": other(header="[]"),
        "no step": other(header=json.dumps({"outcome": described})),
        "a step that is none": other(header=json.dumps({"outcome": described, "step": None})),
        "no outcome": other(header='{"step": 1}'),
        "a part that is none": other(
            header=json.dumps({"outcome": described, "step": 1, "part": {"x": 1}})
        ),
        "an outcome that is none": other(header='{"step": 1, "outcome": []}'),
        "an epoch that is none": other(header='{"step": 1, "outcome": {"epochs": [{}]}}'),
        "another format": whole.replace(b"rps_bench-state-1", b"rps_bench-state-2"),
    }


@pytest.mark.parametrize("what", broken_files())
def test_a_broken_file_is_a_value_error(
    what: str, reread: Callable[[bytes], TrainingState]
) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        reread(broken_files()[what])


def test_a_compressed_models_file_is_no_state(
    compress: Callable[..., CompressedModel], reread: Callable[[bytes], TrainingState]
) -> None:
    with pytest.raises(ValueError, match="not of the format rps_bench-state-1"):
        reread(to_bytes(compress("mag")))


@pytest.mark.filterwarnings("ignore:the compression leaves")
def test_momentum_takes_the_strides_of_its_parameter(
    make_dataset: Callable[..., Dataset], make_recipe: Callable[..., Recipe]
) -> None:
    """Fused SGD walks both through memory; a state file holds tensors row by row."""

    def build() -> CompressedModel:
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.ConvTranspose2d(4, 6, 3),  # left dense, so its strides are the user's
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 10),
        )
        network = network.to(memory_format=torch.channels_last)
        method = build_method("mag", 2, exclude="1")
        return method.compress(network, (torch.zeros(4, 3, 8, 8), torch.arange(4)))

    shelf, whole = Shelf(), build()
    train(whole, make_dataset(), make_recipe(), 0, "fp32", keeper=shelf)
    state = shelf.checkpoints[0]
    name = "skeleton.1.weight"
    plain = {key: tensor.contiguous() for key, tensor in state.momentum.items()}
    again = build()
    assert plain[name].stride() != again.get_parameter(name).stride()
    train(again, make_dataset(), make_recipe(), 0, "fp32", start=replace(state, momentum=plain))
    assert_same_tensors(again.state_dict(), whole.state_dict())


def test_a_state_of_other_meaning_does_not_fit(compress: Callable[..., CompressedModel]) -> None:
    """The same names, shapes and types, and yet another network."""
    models = {
        "seed": compress("stable_rps"),
        "kind": compress("rpg", scaling="gram"),
        "scaling": compress("stable_rps", scaling="mean"),
        "scales": compress("stable_rps", init_std=0.05),
        "kept weights": compress("mag"),
    }
    network = build_model("resnet20", 10, 4, torch.Generator().manual_seed(3))
    probe = torch.zeros(2, 3, 8, 8), torch.arange(2)
    others = {
        "seed": build_method("stable_rps", 10, seed=1).compress(network, probe),
        "kept weights": build_method("rand", 10).compress(network, probe),
    }
    for what, model in models.items():
        other = others.get(what, models["seed"])
        state = TrainingState(0, copied(other), {})
        state.require_fit(other, range(1))
        with pytest.raises(ValueError, match=what):
            state.require_fit(model, range(1))


def test_a_state_that_does_not_tell_its_meaning_does_not_fit(
    compress: Callable[..., CompressedModel],
) -> None:
    model = compress("snip")
    tensors = copied(model)
    del tensors[KEY]
    with pytest.raises(ValueError, match="earlier version"):
        TrainingState(0, tensors, {}).require_fit(model, range(1))

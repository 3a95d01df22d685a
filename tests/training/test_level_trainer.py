"""The walk along a chain: what each level starts from, by hand, bit for bit, and after any kill."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rps_bench.core import atomic
from rps_bench.core.errors import UserError
from rps_bench.datasets.base import Dataset
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.files import write
from rps_bench.methods.layout import count_parameters
from rps_bench.methods.levels import Level, Rewinding, pruning_levels
from rps_bench.methods.map_state import KEY
from rps_bench.methods.selection import (
    StoredScore,
    magnitude_of_stored,
    prune_to,
    store_everything,
)
from rps_bench.models import build_model
from rps_bench.training import checkpoints, level_trainer
from rps_bench.training.chain import Chain
from rps_bench.training.checkpoints import Checkpoints
from rps_bench.training.level_trainer import LevelTrainer
from rps_bench.training.loop import Trainer, Training
from rps_bench.training.recipe import Recipe
from rps_bench.training.schedule import learning_rate
from rps_bench.training.state import EpochResult, Outcome, TrainingState
from tests.training.train import train

NUM_WEIGHTS = 268
REWOUND, KEPT = Rewinding(3, restores_weights=True), Rewinding(3, restores_weights=False)


def network() -> nn.Module:
    """n = 108 + 160 = 268, with biases and BatchNorm."""
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


@dataclass
class Heard:
    """A progress that remembers: (level, its weights) and (level, epoch) as they were trained."""

    levels: list[tuple[int, int]] = field(default_factory=list)
    epochs: list[tuple[int, int]] = field(default_factory=list)

    def show_level(self, number: int, last: int, num_kept: int) -> None:
        self.levels.append((number, num_kept))

    def show_step(self, steps_done: int, num_steps: int) -> None:
        pass

    def show_epoch(self, result: EpochResult) -> None:
        self.epochs.append((self.levels[-1][0], result.epoch))


@dataclass
class Walk:
    """One chain walked to its end."""

    chain: Chain
    heard: Heard
    said: list[str]
    files: Checkpoints

    @property
    def numbers(self) -> list[int]:
        """Levels trained, in order."""
        return [number for number, _ in self.heard.levels]


Walker = Callable[..., Walk]


@pytest.fixture
def walk(
    tmp_path: Path, make_dataset: Callable[..., Dataset], make_recipe: Callable[..., Recipe]
) -> Walker:
    """Walk to m weights in halves: five steps an epoch, two epochs, from step 3 on."""
    recipe = make_recipe()

    def go(
        num_stored: int = 40,
        rewinding: Rewinding = REWOUND,
        folder: str = "chain",
        recipe: Recipe = recipe,
        heard: Heard | None = None,
        checkpoint_seconds: float | None = None,
        score: StoredScore = magnitude_of_stored,
    ) -> Walk:
        heard, said = heard or Heard(), list[str]()
        files = Checkpoints(tmp_path, folder, said.append)
        dense = network()
        with files.in_use(f"to-{num_stored}"):
            chain = LevelTrainer(
                store_everything(dense),
                dense,
                pruning_levels(NUM_WEIGHTS, num_stored, 0.5),
                rewinding,
                partial(prune_to, score=score),
                Training(make_dataset(), recipe, 0, "fp32"),
                files,
                heard,
                checkpoint_seconds,
            ).run()
        return Walk(chain, heard, said, files)

    return go


@dataclass(frozen=True)
class Step:
    """What a step saw: the run's state before it, its images, and its learning rate."""

    state: TrainingState
    images: torch.Tensor
    labels: torch.Tensor
    rate: float


@dataclass
class Spied:
    """One training: its steps, and its network, which is trained once it is over."""

    trainer: Trainer
    steps: list[Step] = field(default_factory=list)

    @property
    def model(self) -> CompressedModel:
        return self.trainer.model

    @property
    def places(self) -> torch.Tensor:
        """(k,) positions in w of the stored values."""
        return (self.model.weight_map.slots() >= 0).nonzero().view(-1)


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[Spied]:
    trainings: list[Spied] = []
    original = Trainer.train_step

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if not trainings or trainings[-1].trainer is not trainer:
            trainings.append(Spied(trainer))
        state = trainer.state()
        loss = original(trainer, images, labels)
        rate = learning_rate(trainer.recipe, trainer.step, trainer.steps_per_epoch)
        trainings[-1].steps.append(Step(state, images, labels, rate))
        return loss

    monkeypatch.setattr(Trainer, "train_step", step)
    return trainings


def timeless(outcomes: tuple[Outcome, ...]) -> list[Outcome]:
    return [
        replace(
            outcome,
            epochs=[replace(epoch, train_seconds=0.0) for epoch in outcome.epochs],
            train_seconds=0.0,
        )
        for outcome in outcomes
    ]


def assert_same_chain(first: Chain, second: Chain) -> None:
    """The same numbers all along, and the same last network bit for bit."""
    assert first.levels == second.levels
    assert timeless(first.outcomes) == timeless(second.outcomes)
    assert_same_tensors(first.model.state_dict(), second.model.state_dict())
    assert torch.equal(first.model.weight_map.slots(), second.model.weight_map.slots())


def assert_same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("rewinding", [REWOUND, KEPT], ids=["rewound", "kept"])
def test_masks_meet_the_budget_nest_and_are_the_exact_top_k(
    rewinding: Rewinding, walk: Walker, spied: list[Spied]
) -> None:
    walk(40, rewinding)
    assert [training.model.stored.numel() for training in spied] == [268, 134, 67, 40]
    for before, after in pairwise(spied):
        magnitudes = before.model.weights().detach().abs().numpy()
        magnitudes[before.model.weight_map.slots().numpy() < 0] = -1
        order = np.lexsort((np.arange(NUM_WEIGHTS), -magnitudes))
        expected = np.sort(order[: after.model.stored.numel()])
        assert after.places.tolist() == expected.tolist()
        assert set(after.places.tolist()) < set(before.places.tolist())
        pruned = after.model.weight_map.slots() < 0
        assert not after.model.weights()[pruned].any()


@pytest.mark.parametrize("step", [0, 3, 5, 9])
def test_every_level_starts_from_the_state_at_k_bit_for_bit(
    step: int, walk: Walker, spied: list[Spied]
) -> None:
    walk(40, Rewinding(step, restores_weights=True))
    first = spied[0].steps
    assert len(first) == 10
    saved = first[step].state
    assert bool(saved.momentum) == (step > 0)
    assert int(saved.tensors["skeleton.1.num_batches_tracked"]) == step
    for training in spied[1:]:
        begun, places = training.steps[0].state, training.places
        assert begun.step == step
        assert begun.outcome == Outcome()
        own = {"stored": saved.tensors["stored"][places], KEY: training.model.get_extra_state()}
        assert_same_tensors(begun.tensors, saved.tensors | own)
        if step > 0:
            stored = {"stored": saved.momentum["stored"][places]}
        assert_same_tensors(begun.momentum, saved.momentum | stored if step else {})
        assert [s.state.step for s in training.steps] == list(range(step, 10))
        assert [s.rate for s in training.steps] == [s.rate for s in first[step:]]
        for ours, theirs in zip(training.steps, first[step:], strict=True):
            assert torch.equal(ours.images, theirs.images)
            assert torch.equal(ours.labels, theirs.labels)


def test_without_rewinding_levels_keep_what_training_gave(walk: Walker, spied: list[Spied]) -> None:
    walk(40, KEPT)
    rates = [step.rate for step in spied[0].steps]
    for before, after in pairwise(spied):
        begun = after.steps[0].state
        assert (begun.step, begun.momentum) == (3, {})
        trained = before.model.state_dict()
        kept = before.model.weights().detach()[after.places]
        own = {"stored": kept, KEY: after.model.get_extra_state()}
        assert_same_tensors(begun.tensors, trained | own)
        assert [step.rate for step in after.steps] == rates[3:]
    tracked = [t.model.state_dict()["skeleton.1.num_batches_tracked"] for t in spied]
    assert [int(count) for count in tracked] == [10, 17, 24, 31]


def test_the_snapshot_changes_nothing_in_the_first_level(
    walk: Walker, make_dataset: Callable[..., Dataset], make_recipe: Callable[..., Recipe]
) -> None:
    """Compression 1 is the dense run, exactly."""
    model = store_everything(network())
    outcome = train(model, make_dataset(), make_recipe(), 0, "fp32")
    for folder, rewinding in (("a", REWOUND), ("b", KEPT)):
        chain = walk(NUM_WEIGHTS, rewinding, folder).chain
        assert timeless(chain.outcomes) == timeless((outcome,))
        assert_same_tensors(chain.model.state_dict(), model.state_dict())


LR, MOMENTUM, DECAY = (0.1, 0.05, 0.05), 0.9, 0.1


def sgd_by_hand(
    weights: np.ndarray[Any, Any],
    bias: np.ndarray[Any, Any],
    velocity: tuple[Any, Any] | None,
    mask: np.ndarray[Any, Any],
    batches: list[Step],
    first_step: int,
) -> list[tuple[Any, Any, Any]]:
    """Softmax regression on whole batches; (weights, bias, velocity) before and after each step.

    Weights (10, 192), mask (10, 192) of ones and zeros, bias (10,).
    """
    states: list[tuple[Any, Any, Any]] = [(weights, bias, velocity)]
    for number, batch in enumerate(batches, first_step):
        x, y = batch.images.reshape(37, 192).numpy(), batch.labels.numpy()
        logits = x @ (weights * mask).T + bias
        errors = np.exp(logits - logits.max(1, keepdims=True))
        errors /= errors.sum(1, keepdims=True)
        errors[np.arange(37), y] -= 1
        steepest = ((errors.T @ x / 37 + DECAY * weights) * mask, errors.mean(0) + DECAY * bias)
        velocity = (
            steepest
            if velocity is None
            else (
                MOMENTUM * velocity[0] + steepest[0],
                MOMENTUM * velocity[1] + steepest[1],
            )
        )
        weights, bias = weights - LR[number] * velocity[0], bias - LR[number] * velocity[1]
        states.append((weights, bias, velocity))
    return states


@pytest.mark.parametrize("restores_weights", [True, False])
def test_two_levels_by_hand(
    restores_weights: bool,
    tmp_path: Path,
    spied: list[Spied],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    """Momentum and weight decay written out: three steps, half pruned, steps 1 and 2 again."""
    torch.manual_seed(4)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).double()
    w0 = dense.get_parameter("1.weight").detach().numpy().copy()
    b0 = dense.get_parameter("1.bias").detach().numpy().copy()
    recipe = make_recipe(
        epochs=3, batch_size=37, lr=0.1, schedule="step", drops=(1,), factor=0.5, weight_decay=DECAY
    )
    chain = LevelTrainer(
        store_everything(dense),
        dense,
        pruning_levels(1920, 960, 0.5),
        Rewinding(1, restores_weights),
        prune_to,
        Training(make_dataset(), recipe, 0, "fp32"),
        Checkpoints(tmp_path, "chain", print),
        Heard(),
    ).run()
    first, second = spied
    assert (len(first.steps), len(second.steps)) == (3, 2)

    states = sgd_by_hand(w0, b0, None, np.ones((10, 192)), first.steps, 0)
    trained, trained_bias, _ = states[3]
    order = np.lexsort((np.arange(1920), -np.abs(trained).ravel()))
    mask = np.zeros((10, 192))
    mask.ravel()[order[:960]] = 1
    w, b, v = states[1] if restores_weights else (trained, trained_bias, None)
    velocity = None if v is None else (v[0] * mask, v[1])
    final, final_bias, _ = sgd_by_hand(w * mask, b, velocity, mask, first.steps[1:], 1)[2]

    found = chain.model.to_dense()
    for ours, theirs in (
        (first.model.weights().view(10, 192), trained),
        (found.get_parameter("1.weight"), final),
        (found.get_parameter("1.bias"), final_bias),
    ):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=1e-10, atol=1e-12)


def test_every_level_keeps_what_its_method_scores_highest(walk: Walker, spied: list[Spied]) -> None:
    """Here the smallest: what is left of level 0 are the smallest of its trained weights."""
    walk(rewinding=KEPT, score=lambda model: -model.stored.abs())
    before, after = spied[0], spied[1]
    trained = before.model.weights().detach().abs()
    kept = after.model.weight_map.slots() >= 0
    assert int(kept.sum()) == NUM_WEIGHTS // 2
    assert trained[kept].max() < trained[~kept].min()


@pytest.mark.parametrize("rewinding", [REWOUND, KEPT], ids=["rewound", "kept"])
def test_compressions_share_levels_in_any_order(rewinding: Rewinding, walk: Walker) -> None:
    alone = {m: walk(m, rewinding, f"alone-{m}") for m in (268, 134, 100, 40)}
    assert [alone[m].numbers for m in alone] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    for order, trained in (
        ((268, 134, 100, 40), [[0], [1], [2], [2, 3]]),
        ((40, 100, 134, 268), [[0, 1, 2, 3], [2], [], []]),
        ((134, 40, 268, 100), [[0, 1], [2, 3], [], [2]]),
    ):
        folder = f"shared-{order}"
        walks = {m: walk(m, rewinding, folder) for m in order}
        assert [walks[m].numbers for m in order] == trained
        for m in order:
            assert_same_chain(walks[m].chain, alone[m].chain)
            assert walks[m].said == []


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("rewinding", [REWOUND, KEPT], ids=["rewound", "kept"])
def test_a_chain_killed_at_any_write_goes_on(
    rewinding: Rewinding, walk: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = walk(40, rewinding, "whole")
    assert whole.heard.epochs == [(level, epoch) for level in range(4) for epoch in (1, 2)]
    # Of a shared level a partial state, a network, an outcome, the partial state's end; of the last
    # one a partial state; and the rewind state.
    num_changes = 3 * 4 + 1 + (rewinding is REWOUND)
    for deadly in range(num_changes):
        heard, folder = Heard(), f"killed-{deadly}"
        with monkeypatch.context() as patch:
            names = die_at(deadly, patch)
            with pytest.raises(KilledError):
                walk(40, rewinding, folder, heard=heard)
        after = walk(40, rewinding, folder, heard=heard)
        assert_same_chain(after.chain, whole.chain)
        assert after.said == []
        # The work of an epoch at most is done again.
        assert set(heard.epochs) == set(whole.heard.epochs), names
        assert len(heard.epochs) <= len(whole.heard.epochs) + 1, names


def test_a_kill_before_a_partial_states_end_leaves_none_for_ever(
    walk: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        names = die_at(4, patch)
        with pytest.raises(KilledError):
            walk(40)
    assert names[-2:] == ["level-00-268.json", "level-00-268.partial.safetensors"]
    assert not list(walk(40).files.folder.glob("level-00-*.partial.safetensors"))


@dataclass
class Clock:
    """A clock that steps of training move, by a second each; it may stop at one of them."""

    patch: pytest.MonkeyPatch
    deadly: int | None = None
    now: float = 0.0

    def __post_init__(self) -> None:
        original = Trainer.train_step
        self.patch.setattr(level_trainer, "time", SimpleNamespace(monotonic=lambda: self.now))

        def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            self.now += 1
            if self.now == self.deadly:
                raise KilledError
            return original(trainer, images, labels)

        self.patch.setattr(Trainer, "train_step", step)


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [(None, [5]), (5, [5, 5, 10]), (2, [2, 4, 5, 7, 9]), (3, [3, 5, 8]), (0.5, None)],
)
def test_states_are_kept_amid_epochs_when_it_is_time(
    seconds: float | None, steps: list[int] | None, walk: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def keep(files: Checkpoints, level: Level, state: TrainingState) -> None:
        kept.append(state.step)

    Clock(monkeypatch)
    monkeypatch.setattr(Checkpoints, "keep_partial", keep)
    walk(NUM_WEIGHTS, checkpoint_seconds=seconds)
    assert kept == (steps or [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10])


@pytest.mark.parametrize("rewinding", [REWOUND, KEPT], ids=["rewound", "kept"])
def test_a_chain_killed_at_any_step_loses_no_more_than_the_seconds_since_its_state(
    rewinding: Rewinding, walk: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = walk(100, rewinding, "whole")
    num_steps = 10 + 7 + 7
    for deadly in range(1, num_steps + 1, 3):
        folder = f"killed-{deadly}"
        with monkeypatch.context() as patch:
            Clock(patch, deadly)
            with pytest.raises(KilledError):
                walk(100, rewinding, folder, checkpoint_seconds=2)
        with monkeypatch.context() as patch:
            clock = Clock(patch)
            after = walk(100, rewinding, folder, checkpoint_seconds=2)
        assert_same_chain(after.chain, whole.chain)
        assert after.said == []
        assert clock.now - (num_steps - (deadly - 1)) <= 2


def die_at(deadly: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Die before the change of this number, from 0, to any file but locks; returns their names."""
    names: list[str] = []

    def mortal(change: Callable[..., Any]) -> Callable[..., Any]:
        def change_or_die(path: Path, *data: Any) -> Any:
            if path.suffix != ".lock":
                names.append(path.name)
                if len(names) - 1 == deadly:
                    raise KilledError
            return change(path, *data)

        return change_or_die

    for name in ("write_bytes", "write_text", "_remove"):
        patch.setattr(checkpoints, name, mortal(getattr(checkpoints, name)))
    patch.setattr(write, "write_bytes", mortal(atomic.write_bytes))
    return names


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("level-00-268.json", [0, 3, 4]),
        ("level-01-134.safetensors", [3, 4]),  # not needed by then
        ("level-02-67.safetensors", [2, 3, 4]),
        ("level-02-67.json", [2, 3, 4]),
        ("rewind.safetensors", [0, 3, 4]),
    ],
)
@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "cut"])
def test_a_level_whose_files_cannot_be_used_is_trained_again(
    name: str, trained: list[int], is_gone: bool, walk: Walker
) -> None:
    walk(40)
    whole = walk(20, folder="whole")
    path = walk(40).files.folder / name
    if is_gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-5])
    again = walk(20)
    assert again.numbers == trained
    assert_same_chain(again.chain, whole.chain)
    if not is_gone and name != "level-01-134.safetensors":
        assert f"{path} cannot be used" in again.said[0]
    assert walk(20).said == [], "the file was not made again"


def test_an_unusable_partial_state_is_told_and_the_level_trained_from_its_start(
    walk: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = walk(40, folder="whole")
    with monkeypatch.context() as patch:
        names = die_at(6, patch)
        with pytest.raises(KilledError):
            walk(40)
    assert names[-2:] == ["level-01-134.partial.safetensors", "level-01-134.safetensors"]
    path = whole.files.root / "chain" / names[-2]
    path.write_bytes(path.read_bytes()[:-1])
    after = walk(40)
    assert after.heard.epochs[:2] == [(1, 1), (1, 2)]
    assert len(after.said) == 1
    assert f"{path} cannot be used and is made again" in after.said[0]
    assert_same_chain(after.chain, whole.chain)


def test_a_first_level_begun_without_its_rewind_state_begins_again(
    walk: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = walk(40, folder="whole")
    with monkeypatch.context() as patch:
        names = die_at(2, patch)
        with pytest.raises(KilledError):
            walk(40)
    assert names[:2] == ["rewind.safetensors", "level-00-268.partial.safetensors"]
    (whole.files.root / "chain" / "rewind.safetensors").unlink()
    after = walk(40)
    assert after.heard.epochs[:2] == [(0, 1), (0, 2)]
    assert_same_chain(after.chain, whole.chain)


def nan_at(numel: int, patch: pytest.MonkeyPatch) -> None:
    """Let trainings of this many stored values meet a loss that is not finite."""
    original = Trainer.train_step

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = original(trainer, images, labels)
        return loss * float("nan") if trainer.model.stored.numel() == numel else loss

    patch.setattr(Trainer, "train_step", step)


@pytest.mark.parametrize(("numel", "level"), [(268, 0), (67, 2), (40, 3)])
@pytest.mark.parametrize("rewinding", [REWOUND, KEPT], ids=["rewound", "kept"])
def test_divergence_ends_the_chain_for_every_compression_behind_it(
    numel: int, level: int, rewinding: Rewinding, walk: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan_at(numel, monkeypatch)
    first = walk(40, rewinding)
    assert first.numbers == list(range(level + 1))
    reason = first.chain.divergence
    epoch = "5, epoch 1"  # the loss is looked at there
    assert reason == f"level {level} of 3: training loss not finite by step {epoch}"
    assert first.chain.model.stored.numel() == 40
    cost = first.chain.measure_cost()
    assert (cost["num_levels"], cost["num_trainings"]) == (level, level + 1)
    entries = first.chain.describe_levels()
    assert len(entries) == level + 1
    assert (entries[-1]["accuracy"], entries[-1]["train_loss"]) == (None, None)
    assert all(entry["accuracy"] is not None for entry in entries[:-1])
    again = walk(40, rewinding)
    assert again.numbers == ([3] if level == 3 else [])  # a last level's files are the record
    assert timeless(again.chain.outcomes) == timeless(first.chain.outcomes)
    if level < 3:
        deeper = walk(20, rewinding)
        assert deeper.numbers == []
        assert deeper.chain.model.stored.numel() == 20
        assert deeper.chain.divergence == reason.replace("of 3", "of 4")
    if level == 0:
        assert walk(268, rewinding).chain.divergence == reason.removeprefix("level 0 of 3: ")


def test_what_a_chain_cost_and_gave(walk: Walker) -> None:
    """Levels after the first train 7 of 10 steps, 1.4 of 2 epochs."""
    chain = walk(40).chain
    seconds = [outcome.train_seconds for outcome in chain.outcomes]
    assert chain.measure_cost() == {
        "num_levels": 3,
        "num_trainings": 4,
        "total_epochs": 6.2,
        "total_train_seconds": round(sum(seconds), 3),
        "population": 1,
    }
    entries = chain.describe_levels()
    assert [entry["level"] for entry in entries] == [0, 1, 2, 3]
    assert [entry["num_kept"] for entry in entries] == [268, 134, 67, 40]
    assert [entry["density"] for entry in entries] == [1, 0.5, 0.25, 40 / 268]
    assert [entry["epochs"] for entry in entries] == [2, 1.4, 1.4, 1.4]
    for entry, outcome in zip(entries, chain.outcomes, strict=True):
        assert entry["accuracy"] == outcome.epochs[-1].accuracy
        assert entry["train_loss"] == outcome.epochs[-1].train_loss
        assert entry["train_seconds"] == round(outcome.train_seconds, 3)
    late = walk(134, Rewinding(7, restores_weights=True), "late").chain
    assert late.measure_cost()["total_epochs"] == 2.6  # three steps of five
    single = walk(268, folder="single").chain
    assert single.measure_cost() | {"total_train_seconds": 0} == {
        "num_levels": 0,
        "num_trainings": 1,
        "total_epochs": 2,
        "total_train_seconds": 0,
        "population": 1,
    }


def test_an_iteration_beyond_the_training_ends_before_any_work(walk: Walker) -> None:
    with pytest.raises(UserError, match=r"from 0 to 9, as this training has 10 steps, got 10"):
        walk(40, Rewinding(10, restores_weights=True))


def test_the_disk_use_of_a_chain_is_bounded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    """Two states, the rewound one and a partial one, and every level's network.

    A state holds every number twice, with its momentum. A level holds 4 bytes a kept weight, at
    most a bit a weight for the mask, and the rest of the network. What 20% levels keep sums up to
    at most 5 n. Names, shapes and the history of 160 epochs: 24 KiB a file.
    """
    dense = build_model("resnet20", generator=torch.Generator().manual_seed(0))
    n, total = 270_896, count_parameters(dense)
    rest = total - n + sum(buffer.numel() for buffer in dense.buffers())
    chain_levels = pruning_levels(n, n // 100, 0.2)
    header = 24 * 2**10
    state = 2 * (4 * n + 8 * rest) + header
    bound = 2 * state + 4 * 5 * n + len(chain_levels) * (n // 8 + 8 * rest + 2 * header)

    folder = Checkpoints(tmp_path, "chain", print)
    peaks: list[int] = []

    def pretend(trainer: Trainer, start: TrainingState | None) -> Outcome:
        for parameter in trainer.model.parameters():
            trainer.optimizer.momentum[parameter] = torch.zeros_like(parameter)
        result = EpochResult(160, 0.1 / 3, 1 / 3, 1 / 3, 100 / 3, 1 / 3)
        trainer.outcome = Outcome([result] * 160, None, 160 / 3, 160 * 50_000)
        keeper = trainer.keeper
        assert keeper is not None
        if keeper.snapshot_step is not None:
            trainer.step = keeper.snapshot_step
            keeper.keep_snapshot(trainer.state())
        keeper.keep_checkpoint(trainer.state())
        peaks.append(folder.count_bytes())
        return trainer.outcome

    monkeypatch.setattr(Trainer, "train", pretend)
    training = Training(make_dataset(), make_recipe(), 0, "fp32")
    rewinding = Rewinding(None, restores_weights=True)
    arguments = (chain_levels, rewinding, prune_to, training, folder, Heard())
    LevelTrainer(store_everything(dense), dense, *arguments).run()
    peaks.append(folder.count_bytes())
    assert len(peaks) == len(chain_levels) + 1 == 23
    assert 0.7 * bound < max(peaks) < bound < 13e6, (max(peaks), bound)
    on_disk = sum(path.stat().st_size for path in (tmp_path / "checkpoints").rglob("*.*"))
    assert peaks[-1] == on_disk

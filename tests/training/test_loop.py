"""The mechanics of the loop: what a step sees, what is counted, who is called."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from rps_bench.datasets.base import Dataset
from rps_bench.methods.compressed import CompressedModel
from rps_bench.training import loop
from rps_bench.training.evaluation import Evaluation
from rps_bench.training.loop import CHECK_EVERY, Trainer, Training
from rps_bench.training.recipe import Recipe
from rps_bench.training.state import EpochResult, Outcome
from tests.training.train import train

Batch = tuple[torch.Tensor, torch.Tensor, float, bool]  # images, labels, loss, train mode


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> list[Batch]:
    """What every train_step saw and gave."""
    seen: list[Batch] = []
    original = Trainer.train_step

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        mode = all(module.training for module in trainer.model.modules())
        loss = original(trainer, images, labels)
        seen.append((images.clone(), labels.clone(), float(loss.detach()), mode))
        return loss

    monkeypatch.setattr(Trainer, "train_step", step)
    return seen


def without_seconds(outcome: Outcome) -> list[EpochResult]:
    return [replace(epoch, train_seconds=0.0) for epoch in outcome.epochs]


def test_the_last_partial_batch_is_used_and_weighted(
    spy: list[Batch],
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    outcome = train(compress("stable_rps"), make_dataset(), make_recipe(), 0, "fp32")
    assert [len(labels) for _, labels, _, _ in spy] == [8, 8, 8, 8, 5] * 2
    assert outcome.num_images == 74
    for result, batches in zip(outcome.epochs, (spy[:5], spy[5:]), strict=True):
        total = sum(loss * len(labels) for _, labels, loss, _ in batches)
        assert result.train_loss == pytest.approx(total / 37, rel=1e-6)
        labels = torch.cat([labels for _, labels, _, _ in batches])
        assert torch.equal(labels.sort().values, make_dataset().train.labels.sort().values)


def test_the_loss_of_a_step_is_that_before_its_update(
    spy: list[Batch],
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    train(compress("dense", 1), make_dataset(), make_recipe(epochs=1), 0, "fp32")
    images, labels, loss, _ = spy[0]
    fresh = compress("dense", 1).train()
    with torch.no_grad():
        assert float(F.cross_entropy(fresh(images), labels)) == pytest.approx(loss, rel=1e-6)


def test_a_batch_larger_than_the_split_is_the_split(
    spy: list[Batch],
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    outcome = train(compress("dense", 1), make_dataset(), make_recipe(batch_size=999), 0, "fp32")
    assert [len(labels) for _, labels, _, _ in spy] == [37, 37]
    assert outcome.num_images == 74


def test_training_runs_in_train_mode_after_every_evaluation(
    spy: list[Batch],
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    train(compress("dense", 1).eval(), make_dataset(), make_recipe(epochs=3), 0, "fp32")
    assert len(spy) == 15
    assert all(mode for _, _, _, mode in spy)


def test_no_method_changes_the_batches(
    spy: list[Batch],
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    runs: list[list[tuple[torch.Tensor, torch.Tensor]]] = []
    for name, compression in (("dense", 1), ("stable_rps", 10), ("mag", 100), ("small", 4)):
        torch.rand(len(runs))  # the global generator's state does not matter either
        train(compress(name, compression), make_dataset(), make_recipe(), 0, "fp32")
        runs.append([(images, labels) for images, labels, _, _ in spy])
        spy.clear()
    for run in runs[1:]:
        for (images, labels), (first_images, first_labels) in zip(run, runs[0], strict=True):
            assert torch.equal(images, first_images)
            assert torch.equal(labels, first_labels)
    first_epoch, second_epoch = runs[0][0][0], runs[0][5][0]
    assert not torch.equal(first_epoch, second_epoch)


def test_the_same_seed_gives_the_same_run_bit_for_bit(
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    models = [compress("stable_rps") for _ in range(3)]
    runs = [
        train(model, make_dataset(), make_recipe(), seed, "fp32")
        for model, seed in zip(models, (0, 0, 1), strict=True)
    ]
    assert without_seconds(runs[0]) == without_seconds(runs[1])
    assert torch.equal(models[0].stored, models[1].stored)
    assert without_seconds(runs[0]) != without_seconds(runs[2])


@pytest.mark.parametrize("name", ["mag", "rand", "snip"])
def test_pruned_weights_stay_exactly_zero(
    name: str,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    model = compress(name, 5)
    pruned, before = model.weight_map.slots() < 0, model.weights().detach()
    train(model, make_dataset(), make_recipe(weight_decay=0.1), 0, "fp32")
    after = torch.cat(
        [model.to_dense().get_parameter(name).detach().flatten() for name, _ in model.layout]
    )
    assert int(pruned.sum()) == len(after) - len(after) // 5
    assert bool((after[pruned] == 0).all())
    assert float((after[~pruned] != before[~pruned]).double().mean()) > 0.99


def test_max_steps_cut_an_epoch_short(
    spy: list[Batch],
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    train(compress("dense", 1), make_dataset(), make_recipe(), 0, "fp32")
    whole = [labels for _, labels, _, _ in spy]
    spy.clear()
    cut = make_recipe(max_steps_per_epoch=3)
    outcome = train(compress("dense", 1), make_dataset(), cut, 0, "fp32")
    found = [labels for _, labels, _, _ in spy]
    assert [labels.tolist() for labels in found] == [
        labels.tolist() for labels in whole[:3] + whole[5:8]
    ]
    assert outcome.num_images == 48
    for result, batches in zip(outcome.epochs, (spy[:3], spy[3:]), strict=True):
        assert result.train_loss == pytest.approx(sum(b[2] for b in batches) / 3, rel=1e-6)
    # The schedule spans the six steps there are: the last is at 5/6, 0.05 cos^2(71.25 degrees).
    assert outcome.epochs[-1].learning_rate == pytest.approx(0.05 * 0.1033233, rel=1e-5)


def test_more_steps_than_an_epoch_has_change_nothing(
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    free, loose = (
        train(compress("mag"), make_dataset(), make_recipe(max_steps_per_epoch=steps), 0, "fp32")
        for steps in (None, 1000)
    )
    assert without_seconds(free) == without_seconds(loose)


def test_an_epoch_reports_the_rate_of_its_last_step(
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    recipe = make_recipe(schedule="step", epochs=3, lr=0.1, drops=(1, 2), factor=0.5)
    outcome = train(compress("mag"), make_dataset(), recipe, 0, "fp32")
    assert [result.epoch for result in outcome.epochs] == [1, 2, 3]
    rates = [result.learning_rate for result in outcome.epochs]
    assert rates == pytest.approx([0.1, 0.05, 0.025])


def test_the_weights_are_recovered_once_a_step(
    monkeypatch: pytest.MonkeyPatch,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    calls: list[None] = []
    original = CompressedModel.weights

    def weights(model: CompressedModel) -> torch.Tensor:
        calls.append(None)
        return original(model)

    model = compress("stable_rps")
    monkeypatch.setattr(CompressedModel, "weights", weights)
    Trainer(model, Training(make_dataset(), make_recipe(), 0, "fp32")).train_epoch(1)
    assert len(calls) == 5


def test_callbacks(
    monkeypatch: pytest.MonkeyPatch,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    events: list[object] = []
    evaluations = iter([Evaluation(10.0, 2.0, [1]), Evaluation(20.0, 1.0, [2])])

    def evaluate(*_: object) -> Evaluation:
        events.append("evaluate")
        return next(evaluations)

    monkeypatch.setattr(loop, "evaluate", evaluate)
    steps = 2 * CHECK_EVERY + 5
    outcome = train(
        compress("mag", 100),
        make_dataset(num_train=2 * steps),
        make_recipe(batch_size=2),
        0,
        "fp32",
        on_step=lambda done, all_: events.append((done, all_)),
        on_epoch=events.append,
    )
    first, second = outcome.epochs
    assert events[-2:] == ["evaluate", second]
    assert events[events.index(first) - 1] == "evaluate"
    assert [event for event in events if isinstance(event, EpochResult)] == [first, second]
    assert (first.accuracy, first.loss) == (10.0, 2.0)
    assert (second.accuracy, second.loss) == (20.0, 1.0)
    assert outcome.num_correct == [2]
    progress = [event for event in events if isinstance(event, tuple)]
    assert {all_ for _, all_ in progress} == {2 * steps}
    done = [event[0] for event in progress]
    assert done == sorted(set(done))
    assert {steps, 2 * steps} <= set(done)
    assert max(after - before for before, after in zip([0, *done], done, strict=False)) <= 20


def test_train_seconds_leave_evaluation_out(
    monkeypatch: pytest.MonkeyPatch,
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def step(trainer: Trainer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        clock.now += 1.0
        return torch.tensor(1.0)

    def evaluate(*_: object) -> Evaluation:
        clock.now += 1000.0
        return Evaluation(50.0, 1.0, [5])

    def on_epoch(_: EpochResult) -> None:
        clock.now += 50_000.0

    monkeypatch.setattr(Trainer, "train_step", step)
    monkeypatch.setattr(loop, "evaluate", evaluate)
    recipe = make_recipe(epochs=3)
    outcome = train(compress("mag"), make_dataset(), recipe, 0, "fp32", on_epoch=on_epoch)
    assert [result.train_seconds for result in outcome.epochs] == [5.0, 5.0, 5.0]
    assert outcome.train_seconds == 15.0


def test_bf16_keeps_theta_and_its_updates_in_fp32(
    compress: Callable[..., CompressedModel],
    make_dataset: Callable[..., Dataset],
    make_recipe: Callable[..., Recipe],
) -> None:
    models = [compress("stable_rps") for _ in range(2)]
    recipe = make_recipe(lr=0.01)
    exact, rough = (
        train(model, make_dataset(), recipe, 0, precision)
        for model, precision in zip(models, ("fp32", "bf16"), strict=True)
    )
    assert {p.dtype for p in models[1].parameters()} == {torch.float32}
    assert not torch.equal(models[0].stored, models[1].stored)
    for ours, theirs in zip(rough.epochs, exact.epochs, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=0.1)
    # Some updates are finer than bf16 can hold.
    assert not torch.equal(models[1].stored, models[1].stored.bfloat16().float())

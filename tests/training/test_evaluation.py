"""Accuracy and loss of a network with known logits."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from rps_bench.datasets.base import Dataset, Split
from rps_bench.methods.compressed import CompressedModel
from rps_bench.training.evaluation import EVALUATION_BATCH, evaluate


class Oracle(nn.Module):
    """Reads an image's number from its first two channels and answers the logits of that number."""

    def __init__(self, logits: torch.Tensor, dataset: Dataset) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.mean, self.std = torch.tensor(dataset.mean), torch.tensor(dataset.std)
        self.batches: list[int] = []
        self.modes: set[tuple[bool, bool]] = set()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(images))
        self.modes.add((self.training, torch.is_grad_enabled()))
        pixels = (images[:, :, 0, 0].double() * self.std + self.mean) * 255
        assert float((pixels - pixels.round()).abs().max()) < 1e-2  # it was normalised
        pixels = pixels.round().long()
        return self.logits[pixels[:, 0] * 256 + pixels[:, 1]]


def numbered(count: int) -> torch.Tensor:
    """(count, 3, 4, 4) uint8 images that carry their number."""
    numbers = torch.arange(count)
    channels = torch.stack((numbers // 256, numbers % 256, torch.zeros_like(numbers)), 1)
    return channels.to(torch.uint8)[:, :, None, None].expand(count, 3, 4, 4).contiguous()


@pytest.fixture
def make_oracle(
    make_dataset: Callable[..., Dataset],
) -> Callable[[int, torch.dtype], tuple[Oracle, Dataset]]:
    def make(count: int, dtype: torch.dtype) -> tuple[Oracle, Dataset]:
        base = make_dataset()
        generator = torch.Generator().manual_seed(1)
        logits = torch.randn(count, 10, generator=generator, dtype=torch.float64).to(dtype)
        labels = torch.randint(0, 10, (count,), generator=generator)
        # All images of the last, partial batch are wrong: a mean over batches would be too low.
        last = torch.arange(count) >= count // EVALUATION_BATCH * EVALUATION_BATCH
        best, worst = logits.argmax(1), logits.argmin(1)
        labels = torch.where(last, worst, torch.where(labels < 6, best, labels))
        dataset = Dataset(base.info, base.train, Split(numbered(count), labels))
        return Oracle(logits, dataset), dataset

    return make


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [3, 500, 1203])
def test_every_image_counts_once(
    count: int,
    dtype: torch.dtype,
    make_oracle: Callable[[int, torch.dtype], tuple[Oracle, Dataset]],
) -> None:
    oracle, dataset = make_oracle(count, dtype)
    found = evaluate(oracle, dataset, "fp32")
    rows = oracle.logits.tolist()
    labels = dataset.test.labels.tolist()
    correct = sum(max(row) == row[label] for row, label in zip(rows, labels, strict=True))
    losses = [
        math.log(sum(math.exp(logit) for logit in row)) - row[label]
        for row, label in zip(rows, labels, strict=True)
    ]
    hits = [label for row, label in zip(rows, labels, strict=True) if max(row) == row[label]]
    assert found.num_correct == [hits.count(label) for label in range(10)]
    assert sum(oracle.batches) == count
    assert found.accuracy == pytest.approx(100 * correct / count, rel=1e-12)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    assert found.loss == pytest.approx(sum(losses) / count, rel=tolerance)
    assert isinstance(found.accuracy, float)
    assert isinstance(found.loss, float)


def test_evaluation_runs_in_eval_mode_without_gradients(
    make_oracle: Callable[[int, torch.dtype], tuple[Oracle, Dataset]],
) -> None:
    oracle, dataset = make_oracle(7, torch.float32)
    oracle.train()
    evaluate(oracle, dataset, "fp32")
    assert oracle.modes == {(False, False)}
    assert not oracle.training
    assert oracle.logits.grad is None


def test_non_finite_logits_give_a_non_finite_loss_not_an_error(
    make_oracle: Callable[[int, torch.dtype], tuple[Oracle, Dataset]],
) -> None:
    oracle, dataset = make_oracle(7, torch.float32)
    with torch.no_grad():
        oracle.logits[2, 3] = float("nan")
    assert not math.isfinite(evaluate(oracle, dataset, "fp32").loss)


def test_evaluation_changes_nothing_and_does_not_depend_on_the_training_split(
    compress: Callable[..., CompressedModel], make_dataset: Callable[..., Dataset]
) -> None:
    model, dataset = compress("stable_rps"), make_dataset()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = evaluate(model, dataset, "fp32")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    swapped = Dataset(dataset.info, dataset.test, dataset.test)
    assert evaluate(model, swapped, "fp32") == first
    assert evaluate(model.to_dense(), dataset, "fp32").loss == pytest.approx(first.loss, rel=1e-5)


def test_a_model_can_be_trained_after_it_was_evaluated(
    compress: Callable[..., CompressedModel], make_dataset: Callable[..., Dataset]
) -> None:
    model, dataset = compress("stable_rps", dtype=torch.float64), make_dataset()
    evaluate(model, dataset, "fp32")
    model.train()(torch.randn(4, 3, 8, 8, dtype=torch.float64)).sum().backward()
    assert model.stored.grad is not None
    assert bool(model.stored.grad.isfinite().all())


def test_bf16_agrees_with_fp32_within_its_precision(
    compress: Callable[..., CompressedModel], make_dataset: Callable[..., Dataset]
) -> None:
    model, dataset = compress("dense", 1), make_dataset()
    exact, rough = (evaluate(model, dataset, precision).loss for precision in ("fp32", "bf16"))
    assert rough != exact
    assert rough == pytest.approx(exact, rel=0.05)

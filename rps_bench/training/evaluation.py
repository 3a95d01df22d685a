"""Accuracy and loss on a split."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.datasets.base import Dataset
from rps_bench.datasets.probe import normalise
from rps_bench.runtime.turns import let_others
from rps_bench.training.precision import autocast

EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Evaluation:
    """``accuracy`` in percent (top-1), ``loss`` the mean cross-entropy; every image counts once.

    ``num_correct`` says of each class how many of its images were right.
    """

    accuracy: float
    loss: float
    num_correct: list[int]


def evaluate(model: nn.Module, dataset: Dataset, precision: str) -> Evaluation:
    """Evaluate on ``dataset.test``, which lies on the model's device, in eval mode."""
    split = dataset.test
    device, dtype = split.images.device, next(model.parameters()).dtype
    num_correct = torch.zeros(dataset.num_classes, dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(split), EVALUATION_BATCH):
            batch = slice(start, start + EVALUATION_BATCH)
            images = normalise(split.images[batch], dataset.mean, dataset.std, dtype)
            labels = split.labels[batch]
            with autocast(precision, device):
                logits = model(images.contiguous(memory_format=torch.channels_last))
            logits = logits.to(dtype)
            loss += F.cross_entropy(logits, labels, reduction="sum")
            # Whole numbers: their sum is the same in any order, and nothing waits for the device.
            num_correct.index_add_(0, labels, (logits.argmax(dim=1) == labels).long())
    let_others()
    count, by_class = len(split), num_correct.tolist()
    return Evaluation(100.0 * sum(by_class) / count, float(loss) / count, by_class)

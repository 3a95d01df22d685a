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
    """``accuracy`` in percent (top-1), ``loss`` the mean cross-entropy; every image counts once."""

    accuracy: float
    loss: float


def evaluate(model: nn.Module, dataset: Dataset, precision: str) -> Evaluation:
    """Evaluate on ``dataset.test``, which lies on the model's device, in eval mode."""
    split = dataset.test
    device, dtype = split.images.device, next(model.parameters()).dtype
    num_correct = torch.zeros((), dtype=torch.int64, device=device)
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
            num_correct += (logits.argmax(dim=1) == labels).sum()
    let_others()
    count = len(split)
    return Evaluation(100.0 * int(num_correct) / count, float(loss) / count)

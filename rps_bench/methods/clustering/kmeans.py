"""k-means after training: one codebook for all weights, and an index into it for each.

Han, Mao and Dally 2016 (Deep Compression), section 3, with one codebook for the whole network and
quantiles as its start: weights are clustered, each takes its cluster's centre, and the centres are
trained. Kim et al. 2024 (SqueezeLLM) weight the clusters by squared gradients, the diagonal of the
empirical Fisher information.
"""

import copy
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.methods.base import Probe
from rps_bench.methods.clustering.codebook_map import CodebookMap
from rps_bench.methods.clustering.lloyd import Floats, cluster, nearest
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import Layout, flatten_weights, layout_of, num_weights
from rps_bench.methods.pruning.conditions import scoring
from rps_bench.methods.pruning.gradients import flat_gradient, layer_weights
from rps_bench.methods.pruning.rounds import ScoreError
from rps_bench.methods.retraining import RetrainedMethod

NONE, SQUARED_GRADIENTS = "none", "squared_gradients"
WEIGHTINGS = (NONE, SQUARED_GRADIENTS)
NUMBER_BITS = 32  # of a weight, and of a value of the codebook
SMALLEST, LARGEST = 4, 32  # compressions: indices of 7 bits and a codebook, and of 1 bit


@dataclass(frozen=True)
class KMeans(RetrainedMethod):
    """Train the dense network, cluster its weights, train the clusters' values.

    The number of values k is the largest power of two for which n indices of log2(k) bits and k
    numbers of 32 bits take at most 32 n / c bits: 128 at 4x or fewer. The two numbers of the
    smallest codebook are not counted, so that 32x is possible: one bit for each weight.

    Attributes:
        weighting: What a weight's squared error counts: ``none`` once; ``squared_gradients`` its
            mean squared gradient over the probe's images.
    """

    name: ClassVar[str] = "kmeans"

    weighting: str = NONE

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("method.weighting", self.weighting, WEIGHTINGS)
        if not SMALLEST <= self.compression <= LARGEST:
            raise UserError(
                f"kmeans has compressions from {SMALLEST} (128 values at most) to {LARGEST} "
                f"(one bit for each weight), got {self.compression:g}"
            )

    def num_stored(self, layout: Layout) -> int:
        """k, the number of values of the codebook.

        Raises:
            UserError: The smallest codebook is larger than the network.
        """
        n = num_weights(layout)
        if _count_bits(n, 1) > NUMBER_BITS * n:
            raise UserError(f"kmeans: a codebook of 2 values is larger than a network of {n}")
        budget = NUMBER_BITS * n / self.compression
        fitting = [b for b in range(2, NUMBER_BITS // SMALLEST) if _count_bits(n, b) <= budget]
        return 1 << max(fitting, default=1)

    def compress_weights(self, trained: nn.Module, probe: Probe) -> CompressedModel:
        """The network whose weights are the centres of their clusters."""
        weights = flatten_weights(trained)
        if weights.is_meta:
            raise UserError(
                "kmeans clusters weights by their values; those of a network on the meta device "
                "have none"
            )
        values = _to_numpy(weights)
        if not np.isfinite(values).all():
            raise ScoreError("weights to be clustered are NaN or infinite")
        importance = self._weigh(trained, probe)
        num_values = self.num_stored(layout_of(trained))
        centres = cluster(values, num_values, importance)
        indices = torch.from_numpy(nearest(values, centres).astype(np.uint8))
        weight_map = CodebookMap(indices.to(weights.device), num_values)
        codebook = torch.from_numpy(centres).to(weights.device, weights.dtype)
        # With gram the gradient of a value is the sum over its members, divided by their number.
        return CompressedModel(trained, weight_map, codebook, "gram")

    def _weigh(self, trained: nn.Module, probe: Probe) -> Floats | None:
        """(n,) what each weight's squared error counts; None: all alike."""
        if self.weighting == NONE:
            return None
        working = copy.deepcopy(trained)
        with scoring(working, self.seed):
            importance = _to_numpy(squared_gradients(working, probe))
        if not np.isfinite(importance).all() or importance.sum() <= 0:
            raise ScoreError("squared gradients of the weights are NaN, infinite or all zero")
        return importance


def squared_gradients(model: nn.Module, probe: Probe) -> torch.Tensor:
    """(n,) mean over the probe's images of the squared gradient of the image's cross-entropy.

    In eval mode, where images do not change each other's. ``model`` is a working copy.
    """
    model.eval()
    weights = layer_weights(model)
    total = torch.zeros_like(flatten_weights(model), dtype=torch.float64)
    images, labels = probe
    for place in range(len(labels)):
        loss = F.cross_entropy(model(images[place : place + 1]), labels[place : place + 1])
        total += flat_gradient(loss, weights).double().square()
    return total / len(labels)


def _count_bits(n: int, index_bits: int) -> int:
    """Bits of n indices and of the codebook that they point into."""
    return n * index_bits + (NUMBER_BITS << index_bits)


def _to_numpy(values: torch.Tensor) -> Floats:
    return values.detach().cpu().double().numpy()

"""STABLE-RPS after training: the repository is fitted to trained weights, and trained again.

The map and the gradient scaling are those of `randomfold.py`, the fit that of
``repository_init=project``: theta = gram^-1 A' w, the least-squares solution of A theta = w. Of
independent weights of one std it keeps 1/c of the energy on average: the relative error
|A theta - w| / |w| is sqrt(1 - 1/c).
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from rps_bench.methods.base import Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.retraining import RetrainedMethod
from rps_bench.methods.sharing.randomfold import StableRPS


@dataclass(frozen=True)
class TrainedStableRPS(RetrainedMethod):
    """Train the dense network, fit STABLE-RPS's repository to it, train that."""

    name: ClassVar[str] = "stable_rps_trained"

    def compress_weights(self, trained: nn.Module, probe: Probe) -> CompressedModel:
        """The network read from the repository that fits its weights best."""
        sharing = StableRPS(self.compression, self.seed, repository_init="project")
        return sharing._compress(trained, probe)

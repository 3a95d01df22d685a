"""The contract of a compression method: a dense model and a probe in, a CompressedModel out."""

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import torch
from torch import nn

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.kinds import Kind
from rps_bench.core.patterns import Patterns
from rps_bench.methods.cautions import warn_of_collapse, warn_of_parameters_left_dense
from rps_bench.methods.choice import WeightChoice, choose, mark, marked_names
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import Layout, num_weights
from rps_bench.methods.lending import require_copyable
from rps_bench.methods.levels import Level, Rewinding
from rps_bench.methods.selection import magnitude_of_stored, prune_to

Probe = tuple[torch.Tensor, torch.Tensor]  # images (B, 3, H, W) float, labels (B,) int64


@dataclass(frozen=True)
class Method(ABC):
    """A method at one compression and seed; a subclass adds its options as fields with defaults.

    Attributes:
        compression: Requested n / m.
        seed: Of everything random.
        include: Patterns of names, only what they name is compressed; None: all weights of
            convolutions, linear layers, embeddings and attention (``rps_bench.methods.choice``).
        exclude: Patterns of names that stay dense.
        min_size: Tensors of fewer numbers stay dense.

    Raises:
        UserError: An option or the compression is out of its range.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]  # what it does to the network; records carry it to the reports
    shares_trainings: ClassVar[bool] = False  # whether compressions share levels (`levels`)

    compression: float
    seed: int = 0
    _: KW_ONLY
    include: Patterns = None
    exclude: Patterns = None
    min_size: int | None = None

    def __post_init__(self) -> None:
        checks.compression_ratio(self.compression)
        choice = self.choice  # raises for what is none
        # As one text, which compares and hashes, whatever kind of list was given.
        object.__setattr__(self, "include", ",".join(choice.include) or None)
        object.__setattr__(self, "exclude", ",".join(choice.exclude) or None)

    @property
    def choice(self) -> WeightChoice:
        """Which weights of a network are compressed."""
        return WeightChoice.of_options(self.include, self.exclude, self.min_size)

    def choose(self, model: nn.Module) -> nn.Module:
        """The network, or a marked copy where other weights are chosen than it would compress.

        Raises:
            UserError: The choice leaves nothing, or names what the network has not.
        """
        names, marked = choose(model, self.choice), marked_names(model)
        if names == marked or (marked is None and self.choice == WeightChoice()):
            return model
        require_copyable(model)
        model = copy.deepcopy(model)
        mark(model, names)
        return model

    def compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """The compressed network; ``model`` is left untouched.

        Layers that keep no weight and parameters left dense are named in a `CompressionWarning`.

        Args:
            model: Any module with weights that can be compressed, freshly initialised.
            probe: Normalised images (B, 3, H, W) and labels (B,) to look at before training.

        Raises:
            UserError: The compression leaves no stored value, or too few for the method; or the
                method cannot look at such a probe or network.
        """
        model = self.choose(model)
        with torch.inference_mode(False), torch.enable_grad():  # whatever the caller is in
            compressed = self._compress(model, probe)
        warn_of_collapse(compressed)
        warn_of_parameters_left_dense(model, self.choice, compressed)
        return compressed

    @abstractmethod
    def _compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """What ``compress`` returns, with nothing said of it."""

    def start(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """What the first level trains: the compressed network, if compressing comes first."""
        return self.compress(model, probe)

    def levels(self, layout: Layout) -> tuple[Level, ...]:
        """The trainings that lead to the compressed network: one, if compressing comes first."""
        return (Level(0, self.num_stored(layout), is_shared=False),)

    @property
    def rewinding(self) -> Rewinding | None:
        """Where the levels after the first start; None where there are none."""
        return None

    @property
    def shares_dense_training(self) -> bool:
        """Whether the first level is the ordinary training of the dense network, and nothing more.

        Other methods then share it. Where weights go back, it has to leave their state, too.
        """
        rewinding = self.rewinding
        return self.shares_trainings and rewinding is not None and not rewinding.restores_weights

    def score_trained(self, model: CompressedModel) -> torch.Tensor:
        """(m,) scores of the stored values that a level has trained: their magnitude.

        The next level keeps the highest, ties by lower position. Asked only of methods with
        several levels. ``model`` must be left as it is; where compressions share levels, the
        scores must not depend on the compression.
        """
        return magnitude_of_stored(model)

    def compress_trained(
        self, model: nn.Module, trained: CompressedModel, num_stored: int, probe: Probe
    ) -> CompressedModel:
        """What a level trains that begins where another one ended: here by pruning.

        Asked only of methods with several levels. Of what it gives theta and the map count; biases
        and BatchNorm go on from the level before, or from the state that is gone back to.

        Args:
            model: The dense network, untrained.
            trained: What the level before has trained; left as it is.
            num_stored: Stored values of the new level.
            probe: As for ``compress``.
        """
        return prune_to(model, trained, num_stored, self.score_trained)

    def num_stored(self, layout: Layout) -> int:
        """m = floor(n / c).

        Raises:
            UserError: m < 1, or too small for the method.
        """
        n = num_weights(layout)
        m = math.floor(n / self.compression)
        if m < 1:
            raise UserError(
                f"compression {self.compression:g} leaves none of {n} weights; "
                f"the largest for this network is {n}"
            )
        return m

"""The contract of a pruning method: scores for the flat w, everything else is shared."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.kinds import Kind
from rps_bench.methods.base import Method, Probe
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import flatten_weights, layout_of
from rps_bench.methods.pruning.conditions import scoring
from rps_bench.methods.pruning.redrawn import redraw_weights
from rps_bench.methods.pruning.rounds import prune_in_rounds
from rps_bench.methods.pruning.statistics import probe_statistics
from rps_bench.methods.shuffling import SHUFFLES, shuffle_kept
from rps_bench.methods.weight_map import SelectionMap

SCORE_MODES = ("train", "eval", "probe")


@dataclass(frozen=True)
class PruningMethod(Method):
    """Keep exactly m of n weights, globally, highest scores first, ties by lower index.

    Attributes:
        rounds: R; after round r keep n (m/n)^(r/R), rescoring with pruned weights at zero.
        shuffle: ``layer`` puts the mask of each layer at random places in it, a control that keeps
            only the layers' numbers of kept weights; ``none`` leaves it as it is.
        reinit: Whether the kept weights are drawn anew after they were chosen, a control for what
            the mask owes to the values that were scored.
    """

    kind: ClassVar[Kind] = "pruning"

    rounds: int = 1
    shuffle: str = "none"
    reinit: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.whole_number("method.rounds", self.rounds, 1)
        checks.choice("method.shuffle", self.shuffle, SHUFFLES)
        checks.truth_value("method.reinit", self.reinit)

    @abstractmethod
    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) scores of the flat weights. ``model`` is a working copy that may be changed."""

    def _compress(self, model: nn.Module, probe: Probe) -> CompressedModel:
        """The network with all but the m chosen weights at zero for good."""
        weights = flatten_weights(model)
        if weights.is_meta:
            raise UserError(
                f"{self.name} scores weights by their values; those of a network on the meta "
                "device have none"
            )

        def score(working: nn.Module) -> torch.Tensor:
            with scoring(working, self.seed):
                return self.scores(working, probe)

        layout = layout_of(model)
        initial = redraw_weights(model, self.seed) if self.reinit else weights
        kept = prune_in_rounds(model, score, self.num_stored(layout), self.rounds)
        if self.shuffle == "layer":
            kept = shuffle_kept(kept, layout, self.seed)
        return CompressedModel(model, SelectionMap(weights.numel(), kept), initial[kept])


@dataclass(frozen=True)
class ProbedPruningMethod(PruningMethod):
    """A pruning method that scores with the labels of the probe.

    Attributes:
        score_mode: The model's mode while scoring: ``train`` normalises by the statistics of each
            pass over the probe (the choice of the methods' authors), ``eval`` by the initial
            running ones (the harness behind the paper), ``probe`` also in eval mode, by running
            ones that were taken from the probe first.
    """

    score_mode: str = "train"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("method.score_mode", self.score_mode, SCORE_MODES)

    @contextmanager
    def in_score_mode(self, model: nn.Module, probe: Probe) -> Iterator[None]:
        """Let a model be in the mode to score it in."""
        model.train(self.score_mode == "train")
        with (
            probe_statistics(model, probe, self.name)
            if self.score_mode == "probe"
            else nullcontext()
        ):
            yield

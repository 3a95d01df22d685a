"""SynFlow (Tanaka, Kunin, Yamins and Ganguli 2020): iterative synaptic flow, without data."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import flatten_weights
from rps_bench.methods.pruning.base import PruningMethod
from rps_bench.methods.pruning.gradients import flat_gradient, layer_weights
from rps_bench.methods.pruning.look_ups import LookUpsOfOnes
from rps_bench.methods.pruning.passes import in_passes, outputs_of, require_probe
from rps_bench.methods.pruning.wide_floats import WideFloats

CLOSED = -1e4  # and below: what people write for -inf in the mask of an attention
INDICES = (torch.int32, torch.int64)  # the types that a table is looked up with


@dataclass(frozen=True)
class SynFlow(PruningMethod):
    """Score abs(w_i dR/dw_i), R the sum of outputs of the all-positive network on ones."""

    name: ClassVar[str] = "synflow"
    rounds: int = 100

    def scores(self, model: nn.Module, probe: Probe) -> torch.Tensor:
        """(n,) float64 scores; of the probe only the image shape is used.

        A probe of int32 or int64 holds indices such as token ids; R is summed over its own. What an
        embedding looks up does not depend on them: a row is what one-hot inputs choose of the table
        as of a linear layer, and on ones that is the sum of all rows. So its rows are scored
        without data, too, and the table's scores sum to those of the layer behind it.

        On ones all places of an image are alike, so an attention's queries and keys score zero.
        """
        images, _ = require_probe(probe, self.name)
        positive = make_positive(model)
        weights = layer_weights(positive)
        gradient = torch.zeros_like(flatten_weights(positive))
        for inputs in _inputs_like(images):
            with WideFloats(torch.float64), LookUpsOfOnes():  # the first, where the network casts
                outputs = outputs_of(positive, inputs, self.name)
            _require_flow(outputs)
            gradient += flat_gradient(outputs.sum(), weights)
        return (flatten_weights(positive) * gradient).abs()


def _require_flow(outputs: torch.Tensor) -> None:
    if not outputs.is_floating_point():
        raise UserError(f"synflow needs floating outputs, the network returns {outputs.dtype}")
    if torch.isnan(outputs).any():
        raise UserError(
            "synflow needs finite outputs of the all-positive network, which are NaN: its weights "
            "or buffers hold NaN, or it overflows"
        )
    sums = outputs.detach().sum(1) if outputs.dim() > 1 else outputs.detach()
    if torch.allclose(sums, torch.ones_like(sums), rtol=0, atol=1e-12):
        raise UserError(
            "synflow needs logits: the network's outputs sum to one whatever its weights are, as "
            "after a softmax"
        )


def make_positive(model: nn.Module) -> nn.Module:
    """A copy in float64 and eval mode, every parameter and buffer at its absolute value.

    That is meant for BatchNorm's statistics, scales and the like. Buffers that are no floating
    numbers stay as they are, since they index or choose. So do masks that are added before a
    softmax, that is matrices with -inf or its stand-ins in them: their absolute value would open
    what they close.
    """
    positive = copy.deepcopy(model).double().eval()
    buffers = [buffer for buffer in positive.buffers() if buffer.is_floating_point()]
    with torch.no_grad():
        for tensor in (*positive.parameters(), *(b for b in buffers if not _is_mask(b))):
            tensor.abs_()
    return positive


def _is_mask(buffer: torch.Tensor) -> bool:
    return buffer.dim() > 1 and bool((buffer <= CLOSED).any())


def _inputs_like(images: torch.Tensor) -> Iterator[torch.Tensor]:
    """An image of ones; of indices the probe's own, in passes."""
    if images.dtype in INDICES:
        yield from in_passes(images)
    else:
        yield torch.ones_like(images[:1], dtype=torch.float64)

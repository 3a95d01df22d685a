"""What a user should know of a compressed network, said as warnings of one class.

Layers that keep no weight, and parameters that no compression reaches. The command line says the
same lines in its own way.
"""

import sys
import warnings
from itertools import accumulate

import torch
from torch import nn

from rps_bench.core.errors import CompressionWarning
from rps_bench.methods.candidates import OTHER, RECURRENT, count_numbers
from rps_bench.methods.choice import WISHED, Judged, WeightChoice, judge
from rps_bench.methods.compressed import CompressedModel
from rps_bench.methods.layout import count_parameters, layer_sizes
from rps_bench.methods.weight_map import SelectionMap

MOST_NAMES = 20  # in one line


def warn(line: str) -> None:
    """Warn in one line, at the place from where the methods were called."""
    level, frame = 2, sys._getframe(1)  # the caller of this function
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("rps_bench.methods"):
        level, frame = level + 1, frame.f_back
    warnings.warn(line, CompressionWarning, stacklevel=level)


def warn_of_collapse(compressed: CompressedModel) -> None:
    """Name the layers that keep no weight, if there are any."""
    collapsed = collapsed_layers(compressed)
    if collapsed:
        kept_of = f"{len(collapsed)} of {len(compressed.layout)} layers keep no weight"
        warn(f"{kept_of}: {_join(collapsed)}")


def warn_of_parameters_left_dense(
    model: nn.Module, choice: WeightChoice, compressed: CompressedModel
) -> None:
    """Name the parameters of a dense network that a compressed one stores as they are.

    Nothing is said of what the choice leaves dense, nor where all weights are stored anyway.
    """
    left = parameters_left_dense(model, choice)
    if not left or compressed.weight_map.num_stored == compressed.weight_map.num_weights:
        return
    total = count_parameters(model)
    counts = [count_numbers(own.parameter) for own in left]
    names = [
        f"{own.names[0]} ({_percent(count, total)}"
        f"{'' if own.reason in (OTHER, RECURRENT) else f', {own.reason}'})"
        for own, count in zip(left, counts, strict=True)
    ]
    warn(
        f"the compression leaves {_percent(sum(counts), total)} of the network's parameters dense, "
        f"beside biases and normalisation: {_join(names)}"
    )


def collapsed_layers(compressed: CompressedModel) -> list[str]:
    """Names of the layers that keep no weight, in flat order; none where weights are shared."""
    if not isinstance(compressed.weight_map, SelectionMap):
        return []
    kept = compressed.weight_map.kept
    bounds = torch.tensor([*accumulate(layer_sizes(compressed.layout), initial=0)])
    counts = torch.searchsorted(kept, bounds.to(kept.device)).diff().tolist()
    names = [name for name, _ in compressed.layout]
    return [name for name, count in zip(names, counts, strict=True) if count == 0]


def parameters_left_dense(model: nn.Module, choice: WeightChoice) -> list[Judged]:
    """Each matrix or larger tensor that is not compressed though it was not left out by wish.

    Recurrent layers, frozen weights, parameters of modules of other kinds. Axes of length 1 do not
    count: scales of the shape (C, 1, 1) are as small as biases.
    """
    return [
        own
        for own in judge(model, choice)
        if own.reason is not None
        and own.reason not in WISHED
        and own.parameter is not None
        and sum(size > 1 for size in own.parameter.shape) > 1
    ]


def _percent(part: int, total: int) -> str:
    return f"{100 * part / total:.3g}%"


def _join(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

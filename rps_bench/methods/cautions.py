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


def warn_of_parameters_left_dense(model: nn.Module, compressed: CompressedModel) -> None:
    """Name the parameters of a dense network that a compressed one stores as they are.

    Nothing is said where all weights are stored anyway.
    """
    left = parameters_left_dense(model, compressed)
    if not left or compressed.weight_map.num_stored == compressed.weight_map.num_weights:
        return
    total = count_parameters(model)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    names = [
        f"{name} ({_percent(count, total)}{', frozen' if name in frozen else ''})"
        for name, count in left.items()
    ]
    share = _percent(sum(left.values()), total)
    warn(
        f"the compression leaves {share} of the network's parameters dense, beside biases and "
        f"normalisation: {_join(names)}"
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


def parameters_left_dense(model: nn.Module, compressed: CompressedModel) -> dict[str, int]:
    """Numbers in each matrix or larger tensor that is not compressed, by name, in module order.

    Embeddings, recurrent layers, packed projections and the like. Axes of length 1 do not count:
    scales of the shape (C, 1, 1) are as small as biases.
    """
    of_every_name = dict(model.named_parameters(remove_duplicate=False))
    compressible = {id(of_every_name.get(name)) for name, _ in compressed.layout}
    return {
        name: parameter.numel()
        for name, parameter in model.named_parameters()
        if sum(size > 1 for size in parameter.shape) > 1 and id(parameter) not in compressible
    }


def _percent(part: int, total: int) -> str:
    return f"{100 * part / total:.3g}%"


def _join(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

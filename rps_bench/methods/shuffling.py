"""A mask shuffled within its layers: a control that keeps what each layer has, and nothing else.

Su et al. 2020 (arXiv 2009.11094) and Frankle et al. 2021 (arXiv 2009.08576): a score that chooses
weights should beat its own numbers of kept weights per layer, at random places.
"""

import torch

from rps_bench.core.seeds import named_generator
from rps_bench.methods.layout import Layout, layer_ranges

SHUFFLES = ("none", "layer")


def shuffle_kept(kept: torch.Tensor, layout: Layout, seed: int) -> torch.Tensor:
    """As many positions in every layer, drawn at random by the seed.

    Args:
        kept: (m,) int64 positions in the flat w.
        layout: The layer table.
        seed: The run's.

    Returns:
        (m,) int64, ascending, on the device of ``kept``.
    """
    generator = named_generator(seed, "shuffle")
    positions, pieces = kept.cpu(), []
    for begin, end in layer_ranges(layout):
        order = torch.randperm(end - begin, generator=generator)
        own = positions[(positions >= begin) & (positions < end)]
        pieces.append((begin + order[own - begin]).sort().values)
    return torch.cat(pieces).to(kept.device)

"""Statistics of normalisation layers taken from the probe, for as long as scores are computed.

The running statistics of a new network are 0 and 1, by which eval mode normalises nothing. Taken
from data before scoring, they help scores that look at data, and fewer layers lose all their
weights (arXiv 2502.11450).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from rps_bench.methods.base import Probe
from rps_bench.methods.pruning.passes import in_passes, outputs_of, require_probe


@contextmanager
def probe_statistics(model: nn.Module, probe: Probe, asked_by: str) -> Iterator[None]:
    """Let running statistics be those of the probe, and afterwards what they were, bit for bit.

    They are those of one pass in which the layers with running statistics are in train mode and all
    others as they are, so that nothing is dropped out. Of a probe of several passes they are the
    mean of the passes', by their images.

    Args:
        model: In eval mode; has its modes back when this is entered.
        probe: Images and labels.
        asked_by: The method's name.

    Raises:
        UserError: The network cannot be run on the probe.
    """
    norms = [m for m in model.modules() if isinstance(m, _NormBase) and m.track_running_stats]
    kept = [dict(norm.named_buffers(recurse=False)) for norm in norms]
    try:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer.clone())
        _estimate(model, norms, require_probe(probe, asked_by)[0], asked_by)
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)


@torch.no_grad()
def _estimate(
    model: nn.Module, norms: list[_NormBase], images: torch.Tensor, asked_by: str
) -> None:
    """Set the running statistics of these layers to those of the images."""
    settings = [(norm.training, norm.momentum) for norm in norms]
    try:
        for norm in norms:
            norm.train().reset_running_stats()
        num_seen = 0
        for part in in_passes(images):
            num_seen += len(part)
            for norm in norms:
                norm.momentum = len(part) / num_seen  # the new pass's share in the mean so far
            outputs_of(model, part, asked_by)
    finally:
        for norm, (is_training, momentum) in zip(norms, settings, strict=True):
            norm.training, norm.momentum = is_training, momentum

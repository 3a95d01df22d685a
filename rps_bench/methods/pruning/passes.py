"""The probe, checked and sent through a network: what a score is made of.

A probe that does not fit ends in one line that names the method and what it needs.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from rps_bench.core.errors import UserError
from rps_bench.methods.base import Probe
from rps_bench.methods.layout import compressible_weights

PASS_SIZE = 256  # images of the probe in one pass: bounds memory, as the harness behind the paper

# Words of PyTorch's errors that are of shapes.
OF_SHAPES = ("shape", "size", "channels", "dimension", "rank", "-dim", "input to have")


def probe_losses(
    model: nn.Module, probe: Probe, asked_by: str, temperature: float = 1.0
) -> Iterator[tuple[torch.Tensor, float]]:
    """The mean cross-entropy of each pass over the probe, and the pass's share of the probe.

    In train mode each pass is normalised by its own statistics.

    Args:
        model: Takes images, returns logits (B, classes).
        probe: Images and labels.
        asked_by: The method's name.
        temperature: Divides the logits.

    Raises:
        UserError: The probe or what the network makes of it does not fit.
    """
    images, labels = require_probe(probe, asked_by)
    _require_labels(images, labels, asked_by)
    for part, part_labels in zip(in_passes(images), in_passes(labels), strict=True):
        logits = outputs_of(model, part, asked_by)
        _require_logits(logits, part_labels, asked_by)
        loss = F.cross_entropy(logits / temperature, part_labels)
        if not torch.isfinite(loss):
            raise UserError(
                f"{asked_by} needs a finite loss on the probe, got {loss.item()}: "
                f"{_blame(part, logits)}"
            )
        yield loss, len(part) / len(images)


def in_passes(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Rows in parts of nearly equal length, at most ``PASS_SIZE`` in each."""
    return tensor.chunk(-(-len(tensor) // PASS_SIZE))


def require_probe(probe: Probe, asked_by: str) -> Probe:
    """The probe, ready for a derivative, if it is two tensors and not empty."""
    wanted = f"{asked_by} needs a probe of two tensors, images (B, 3, H, W) and labels (B,)"
    is_pair = isinstance(probe, tuple | list) and len(probe) == 2
    if not (is_pair and all(isinstance(part, torch.Tensor) for part in probe)):
        raise UserError(f"{wanted}, got {_name(probe)}")
    images, labels = (part.clone() if part.is_inference() else part for part in probe)
    if images.dim() == 0 or images.numel() == 0:
        raise UserError(f"{wanted} with at least one image, got images {tuple(images.shape)}")
    return images, labels


def outputs_of(model: nn.Module, images: torch.Tensor, asked_by: str) -> torch.Tensor:
    """What a network returns for images, a tensor.

    Images of a narrower floating type than the network's are widened.

    Raises:
        UserError: It returns something else, or cannot take such images.
    """
    weight = next(iter(compressible_weights(model).values()))
    if images.is_floating_point() and images.dtype.itemsize < weight.dtype.itemsize:
        images = images.to(weight.dtype)
    try:
        outputs = model(images)
    except (RuntimeError, ValueError, IndexError) as error:
        normalises = any(module.training for module in model.modules())
        misfit = _find_misfit(images, weight, normalises, str(error))
        if misfit is None or isinstance(error, torch.OutOfMemoryError):
            raise
        raise UserError(f"{asked_by} cannot run the network on the probe: {misfit}") from error
    if not isinstance(outputs, torch.Tensor):
        raise UserError(
            f"{asked_by} needs a network that returns one tensor of logits (B, classes), "
            f"this one returns {_name(outputs)}"
        )
    return outputs


def _find_misfit(
    images: torch.Tensor, weight: torch.Tensor, normalises: bool, message: str
) -> str | None:
    """Why a network that failed with a message did so, if the images explain it."""
    if images.device != weight.device:
        return f"its images are on {images.device}, the network's weights on {weight.device}"
    if not images.is_floating_point():
        return (
            f"its images are {images.dtype}; wanted are normalised floating ones, or int64 "
            "indices within the tables of a network that looks them up"
        )
    if images.dtype != weight.dtype:
        return f"its images are {images.dtype}, the network's weights {weight.dtype}"
    if "'indices'" in message:  # of PyTorch's embedding, which has no error of its own
        return "its images are floating numbers; this network looks up int64 indices in a table"
    if len(images) == 1 and normalises:
        return (
            "one image alone has no statistics to normalise by; give more of them, or set "
            "method.score_mode=eval"
        )
    if any(word in message.lower() for word in OF_SHAPES):
        return f"its images are {tuple(images.shape)}, and {message.splitlines()[0]}"
    return None


def _require_labels(images: torch.Tensor, labels: torch.Tensor, asked_by: str) -> None:
    if labels.dtype != torch.int64 or labels.dim() == 0 or len(labels) != len(images):
        raise UserError(
            f"{asked_by} needs an int64 label for each of the probe's {len(images)} images, got "
            f"{labels.dtype} {tuple(labels.shape)}"
        )
    if labels.device != images.device:
        raise UserError(
            f"{asked_by} needs images and labels of the probe on one device, got {images.device} "
            f"and {labels.device}"
        )


def _require_logits(logits: torch.Tensor, labels: torch.Tensor, asked_by: str) -> None:
    """One row of logits for each label, and a class for each label."""
    num_classes = logits.shape[1] if logits.dim() > 1 else 0
    if not logits.is_floating_point() or (
        logits.shape[:1] + logits.shape[2:] != labels.shape or num_classes == 0
    ):
        raise UserError(
            f"{asked_by} needs logits (B, classes) for labels (B,), the network returns "
            f"{logits.dtype} {tuple(logits.shape)} for labels {tuple(labels.shape)}"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise UserError(
            f"{asked_by} needs labels from 0 to {num_classes - 1}, as the network has "
            f"{num_classes} outputs; the probe's are from {low} to {high}"
        )


def _blame(images: torch.Tensor, logits: torch.Tensor) -> str:
    if not torch.isfinite(images).all():
        return "the probe's images hold NaN or infinity"
    if not torch.isfinite(logits).all():
        return "the network's outputs on it hold NaN or infinity"
    return "the network's outputs on it are too large"


def _name(thing: object) -> str:
    """What something is, for a message."""
    if isinstance(thing, tuple | list):
        return f"a {type(thing).__name__} of {len(thing)}"
    return f"a {type(thing).__name__}"

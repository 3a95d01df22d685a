"""What a compressed file holds beside weights: biases, BatchNorm and counters, without names.

Names and shapes follow from the network. Written out, they would take more bytes than the numbers
of a small network.
"""

from collections.abc import Mapping

import torch
from torch import nn

from rps_bench.methods.layout import layout_of

PREFIX = "rest."  # of the vectors' names, before their dtype


def skeleton_state(dense: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state of a dense network without its compressible weights."""
    weights = {name for name, _ in layout_of(dense)}
    return {name: tensor for name, tensor in dense.state_dict().items() if name not in weights}


def pack_skeleton(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a state one after the other, a vector for each dtype."""
    groups: dict[str, list[torch.Tensor]] = {}
    for tensor in state.values():
        groups.setdefault(_group(tensor.dtype), []).append(tensor.cpu().reshape(-1))
    return {name: torch.cat(tensors) for name, tensors in groups.items()}


def unpack_skeleton(
    tensors: Mapping[str, torch.Tensor], template: Mapping[str, torch.Tensor], dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """Take the vectors of ``pack_skeleton`` apart again, by the names and shapes of ``template``.

    Args:
        tensors: The vectors, among others.
        template: A state of the same network, of any values and floating dtype.
        dtype: Of the floating ones.

    Raises:
        ValueError: Too few numbers, or too many.
    """
    state: dict[str, torch.Tensor] = {}
    used: dict[str, int] = {}
    for name, like in template.items():
        group = _group(dtype if like.is_floating_point() else like.dtype)
        start = used.get(group, 0)
        used[group] = start + like.numel()
        piece = tensors[group][start : used[group]]
        if piece.numel() != like.numel():
            raise ValueError(f"{name} is missing or cut")
        state[name] = piece.view(like.shape)
    if any(tensors[group].numel() != count for group, count in used.items()):
        raise ValueError("it holds more numbers than the network")
    return state


def _group(dtype: torch.dtype) -> str:
    return f"{PREFIX}{str(dtype).removeprefix('torch.')}"

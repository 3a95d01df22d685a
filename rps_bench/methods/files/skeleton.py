"""What a compressed file holds beside weights: biases, BatchNorm, counters and frozen weights.

Without names: names and shapes follow from the network. Written out, they would take more bytes
than the numbers of a small network. A tensor under several names is held once.
"""

from collections.abc import Mapping

import torch
from torch import nn

from rps_bench.core.errors import UserError

PREFIX = "rest."  # of the vectors' names, before their dtype
COUNTERS = torch.int64  # the dtype of numbers that are not floating, unless noted


def skeleton_state(skeleton: nn.Module) -> dict[str, torch.Tensor]:
    """The live tensors of a network that lacks its compressible weights, each under one name.

    Raises:
        UserError: A module keeps a state that is no tensor.
    """
    state: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in skeleton.state_dict(keep_vars=True).items():
        if not isinstance(tensor, torch.Tensor):
            raise UserError(f"a compressed file cannot hold {name}, which is no tensor")
        if id(tensor) not in seen:
            state[name] = tensor
        seen.add(id(tensor))
    return state


def odd_dtypes(state: Mapping[str, torch.Tensor], dtype: torch.dtype) -> dict[str, str]:
    """The dtypes, by name, of tensors that are neither of the network's dtype nor counters."""
    return {
        name: _name_of(tensor.dtype)
        for name, tensor in state.items()
        if tensor.dtype not in (dtype, COUNTERS)
    }


def pack_skeleton(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of a state one after the other, a vector for each dtype."""
    groups: dict[torch.dtype, list[torch.Tensor]] = {}
    for tensor in state.values():
        flat = tensor.detach().cpu().reshape(-1)
        groups.setdefault(tensor.dtype, []).append(flat.view(torch.uint8))
    return {
        f"{PREFIX}{_name_of(dtype)}": torch.cat(pieces).view(dtype)
        for dtype, pieces in groups.items()
    }


def unpack_skeleton(
    tensors: Mapping[str, torch.Tensor],
    template: Mapping[str, torch.Tensor],
    dtype: torch.dtype,
    odd: Mapping[str, str],
) -> dict[str, torch.Tensor]:
    """Take the vectors of ``pack_skeleton`` apart again, by the names and shapes of ``template``.

    Args:
        tensors: The vectors, among others.
        template: The state of the same network, of any values and dtypes.
        dtype: The network's own.
        odd: What ``odd_dtypes`` gave.

    Raises:
        ValueError, LookupError: Too few numbers, or too many, or a name that the network lacks.
    """
    if unknown := sorted(odd.keys() - template.keys()):
        raise ValueError(f"the network has no {unknown[0]!r}")
    state: dict[str, torch.Tensor] = {}
    used: dict[str, int] = {}
    for name, like in template.items():
        usual = dtype if like.is_floating_point() else COUNTERS
        group = f"{PREFIX}{odd.get(name, _name_of(usual))}"
        start = used.get(group, 0)
        used[group] = start + like.numel()
        piece = tensors[group][start : used[group]]
        if piece.numel() != like.numel():
            raise ValueError(f"{name} is missing or cut")
        state[name] = piece.view(like.shape)
    if any(tensors[group].numel() != count for group, count in used.items()):
        raise ValueError("it holds more numbers than the network")
    return state


def fill_skeleton(skeleton: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Give a network's tensors these values and dtypes, in place; tensors it shares stay shared."""
    for name, tensor in skeleton_state(skeleton).items():
        tensor.data = state[name].to(tensor.device)


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

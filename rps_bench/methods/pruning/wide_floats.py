"""Passes in a wide floating type, through networks that cast to a narrower one on the way."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


class WideFloats(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it lasts, what an operation would make in a narrower floating type is made in this one.

    So ``x.float()`` in a network that was moved to float64 casts nothing, and a hidden state that
    starts as ``torch.zeros(...)`` fits the weights.

    Args:
        dtype: The type.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dtype = dtype

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Do an operation with its ``dtype`` made wide, and its results if they are new tensors."""
        kwargs = kwargs or {}
        if self._is_narrow(kwargs.get("dtype")):
            kwargs = kwargs | {"dtype": self.dtype}
        results = func(*args, **kwargs)
        return tree_map_only(torch.Tensor, self._widen, results) if _is_new(func) else results

    def _widen(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.dtype) if self._is_narrow(tensor.dtype) else tensor

    def _is_narrow(self, dtype: torch.dtype | None) -> bool:
        return (
            dtype is not None and dtype.is_floating_point and dtype.itemsize < self.dtype.itemsize
        )


def _is_new(func: Any) -> bool:
    """Whether an operation's results are no views of its arguments, nor these themselves."""
    is_constant = func is torch.ops.aten.lift_fresh.default  # of torch.tensor([...])
    return is_constant or all(result.alias_info is None for result in func._schema.returns)

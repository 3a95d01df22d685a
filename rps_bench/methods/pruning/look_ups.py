"""Embeddings on an input of ones: the sum of all rows, wherever a network looks one up."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class LookUpsOfOnes(TorchFunctionMode):
    """While it lasts, every embedding gives the sum of its table's rows, whatever is looked up.

    That is what the same table gives as a linear layer on an input of ones. A bag gives it once.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Do an operation; of an embedding, take the shape alone."""
        result = func(*args, **(kwargs or {}))
        if func not in (F.embedding, F.embedding_bag):
            return result
        table: torch.Tensor = args[1] if len(args) > 1 else (kwargs or {})["weight"]
        return table.sum(0).expand(result.shape)

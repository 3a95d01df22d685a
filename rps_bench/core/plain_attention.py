"""Attention without PyTorch's fast path."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def plain_attention() -> Iterator[None]:
    """Let attention and transformer layers be made of single operations, also in eval mode.

    The fused ones of the fast path have no derivatives, tell nothing of what they multiply, and
    have no counterpart in ONNX.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)

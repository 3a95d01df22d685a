"""Deterministic algorithms during a run: the same bits every time.

On a CPU every run is repeatable with the same number of threads, and with any number by the
engine's kernels (engine/threads.py). On a GPU some of PyTorch's algorithms sum in an order that
varies.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
REPEATABLE_WORKSPACES = (":4096:8", ":16:8")  # PyTorch's documentation names these two


@contextmanager
def repeatable_algorithms(is_wanted: bool) -> Iterator[None]:
    """Let PyTorch use deterministic algorithms only, and restore its settings afterwards.

    Meanwhile an operation without a deterministic algorithm raises a RuntimeError. If they are not
    wanted, nothing changes and torch is not imported.
    """
    if not is_wanted:
        yield
        return
    import torch

    cudnn = torch.backends.cudnn
    enabled = torch.are_deterministic_algorithms_enabled()
    warns_only = torch.is_deterministic_algorithms_warn_only_enabled()
    chosen, timed, workspace = cudnn.deterministic, cudnn.benchmark, os.environ.get(CUBLAS)
    try:
        torch.use_deterministic_algorithms(True)
        cudnn.deterministic, cudnn.benchmark = True, False
        if workspace not in REPEATABLE_WORKSPACES:
            os.environ[CUBLAS] = REPEATABLE_WORKSPACES[0]
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warns_only)
        cudnn.deterministic, cudnn.benchmark = chosen, timed
        if workspace is None:
            os.environ.pop(CUBLAS, None)
        else:
            os.environ[CUBLAS] = workspace

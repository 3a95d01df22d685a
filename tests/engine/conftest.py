"""The native kernels, compiled once for all tests, in a cache of their own."""

import os
from collections.abc import Iterator

import pytest
import torch

from rps_bench.engine import native as native_module
from rps_bench.engine.native import Native, find_native


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Native]:
    """The native kernels; a test that needs them is skipped where there is no compiler."""
    lines: list[str] = []
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    native_module._loaded.clear()
    try:
        found = find_native("plain", lines.append)
    finally:
        os.environ.pop("XDG_CACHE_HOME")
        if before is not None:
            os.environ["XDG_CACHE_HOME"] = before
    if found is None:
        pytest.skip("; ".join(lines))
    yield found
    native_module._loaded.clear()


@pytest.fixture(params=[1, 2])
def num_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """PyTorch's threads during a test."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)

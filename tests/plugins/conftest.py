"""Plugins are known to a whole process: here each test begins and ends without any."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rps_bench.core.origins import ORIGINS
from rps_bench.plugins import files
from rps_bench.plugins.groups import registry_of

MY_METHODS = Path(__file__).with_name("my_methods.py")
TINY = ("recipe=smoke", "device=cpu", "precision=fp32")


def forget_plugins() -> None:
    """As in another process."""
    for group, name in list(ORIGINS):
        del registry_of(group)[name], ORIGINS[group, name]
    files._LOADED.clear()


@pytest.fixture(autouse=True)
def _without_plugins() -> Iterator[None]:
    yield
    forget_plugins()


@pytest.fixture
def my_methods(tmp_path: Path) -> Path:
    """A copy that a test may change, in the folder of the command."""
    path = tmp_path / "my_methods.py"
    path.write_bytes(MY_METHODS.read_bytes())
    return path

"""The table of widely used networks says what happens: small ones every time, all in slow tests."""

import importlib.util

import pytest

from rps_bench.methods import METHODS
from scripts.networks import NETWORKS, SMALL, build, export, read_lines, try_method

has_torchvision = importlib.util.find_spec("torchvision") is not None
LINES = {(network, method): line for network, method, line in read_lines()}


def test_every_network_and_method_has_its_row() -> None:
    assert list(LINES) == [(network, method) for network in NETWORKS for method in METHODS]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SMALL)
def test_small_networks(name: str, method: str) -> None:
    assert try_method(*build(name), method) == LINES[name, method]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_small_networks_are_exported(name: str) -> None:
    export(*build(name))


@pytest.mark.slow
@pytest.mark.skipif(not has_torchvision, reason="needs torchvision")
@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in SMALL])
def test_large_networks(name: str) -> None:
    network, probe = build(name)
    found = {method: try_method(network, probe, method) for method in METHODS}
    assert found == {method: LINES[name, method] for method in METHODS}
    export(network, probe)

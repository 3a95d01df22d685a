"""Whether a server is there."""

import socket

import pytest

from rps_bench.tracking.weights_and_biases.reach import why_out_of_reach


def test_a_port_that_listens_and_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert why_out_of_reach(url, 1.0) is None
    assert isinstance(why_out_of_reach(url, 0.0), OSError)


def test_behind_a_proxy_only_the_proxy_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert why_out_of_reach("https://127.0.0.1:9", 0.0) is None

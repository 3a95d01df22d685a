"""Is there a server at all? Asked before wandb is: its one bound on connecting cannot tell a
machine without a network from one that is slow."""

import socket
import time
import urllib.request
from urllib.parse import urlsplit

RETRY_SECONDS = 0.5
PORTS = {"http": 80, "https": 443}


def why_out_of_reach(url: str, seconds: float) -> OSError | None:
    """Why no connection could be opened to a server; None if one could, or if a proxy does it.

    Args:
        url: Of the server.
        seconds: How long to try, at least once.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, PORTS["https"])
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return None
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
        except OSError as error:
            if time.monotonic() > deadline:
                return error
        else:
            return None
        time.sleep(RETRY_SECONDS)

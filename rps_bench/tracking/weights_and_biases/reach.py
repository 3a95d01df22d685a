"""Whether a server can be reached, checked before wandb connects.

wandb's own time limit on connecting cannot tell a machine without a network from a slow server.
"""

import socket
import time
import urllib.request
from urllib.parse import urlsplit

RETRY_SECONDS = 0.5
PORTS = {"http": 80, "https": 443}


def why_out_of_reach(url: str, seconds: float) -> OSError | None:
    """The reason why no connection to a server opens; None if one does, or if there is a proxy.

    Args:
        url: The server.
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

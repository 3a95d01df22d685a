"""Waiting for other processes, long enough for a machine that is slow or stands still a while."""

import time
from collections.abc import Callable

# Only a fault takes this long. Tests that pass do not wait: they go on at the first sign.
PATIENCE_SECONDS = 900.0
LOOK_SECONDS = 0.02


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until something holds. Looks are counted, so that a machine at rest counts no time."""
    looks_left = PATIENCE_SECONDS / LOOK_SECONDS
    while not condition():
        looks_left -= 1
        assert looks_left > 0, f"waited in vain for {what}"
        time.sleep(LOOK_SECONDS)

"""Is the worker alive? It touches its scratch folder as it goes; whoever waits for it looks there.

Seconds on the clock say nothing on a machine that is slow or stands still for a while. So both
sides count moments in which they ran themselves: a machine that stands still counts none.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

BEAT_SECONDS = 1.0
# Without a step the worker shows no more signs after this many beats, far more than any bound that
# wandb keeps to by itself: whatever it does then, it hangs.
BEATS_PER_STEP = 300
LOOK_SECONDS = 0.25


class Heart:
    """Touches a folder while this process runs and takes steps; a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._num_steps = 0
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def step(self) -> None:
        """Something was done."""
        self._num_steps += 1

    def _run(self) -> None:
        last_step, beats_left = self._num_steps, BEATS_PER_STEP
        while not self._has_ended.wait(BEAT_SECONDS):
            if self._num_steps != last_step:
                last_step, beats_left = self._num_steps, BEATS_PER_STEP
            if beats_left > 0:
                beats_left -= 1
                os.utime(self._folder)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._has_ended.set()
        self._thread.join()


def wait_while_alive(has_ended: Callable[[float], bool], folder: Path, longest: float) -> bool:
    """Wait for a process for as long as it touches its folder now and then.

    Args:
        has_ended: Waits for some seconds at most, and says whether the process has ended.
        folder: What a ``Heart`` touches.
        longest: Seconds of this process without a sign of life.

    Returns:
        Whether it has ended; else it shows no sign of life.
    """
    last_sign, quiet_looks = _sign(folder), 0
    while not has_ended(LOOK_SECONDS):
        sign = _sign(folder)
        quiet_looks = 0 if sign != last_sign else quiet_looks + 1
        last_sign = sign
        if quiet_looks * LOOK_SECONDS >= longest:
            return False
    return True


def _sign(folder: Path) -> int | None:
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:  # removed by the worker: it is about to end
        return None

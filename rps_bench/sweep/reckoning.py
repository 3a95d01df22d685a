"""What is told of a sweep under way: counts and the expected end, each found anew when it is time.

Looks may be made beside a training in the same process, so they take at most a small share of time.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from rps_bench.config import RunConfig
from rps_bench.sweep.forecast import Forecast, forecast
from rps_bench.sweep.standing import Counts, Place, Standing

LOOK_SECONDS = 3.0  # between two looks at records and locks
FORECAST_SECONDS = 15.0  # between two estimates of what is left
MOST_SHARE = 0.01  # of the time, for looks and for estimates: where they take long they are fewer
RECENT_LOOKS = 10  # between two runs a process has none for a moment, and still counts


class Reckoning:
    """How far a sweep is and when it will end, as of the last look.

    Args:
        configs: All runs of the sweep.
        tried: What `Standing.count` takes; may grow.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        configs: Sequence[RunConfig],
        tried: set[Place] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.standing, self.tried = Standing(configs), tried
        self.forecast: Forecast | None = None
        self.pause_seconds = LOOK_SECONDS  # until the next look
        self._clock, self._next_forecast = clock, clock()
        self._num_running: deque[int] = deque(maxlen=RECENT_LOOKS)

    @property
    def counts(self) -> Counts:
        """The runs, counted."""
        return self.standing.count(self.tried)

    def look(self) -> None:
        """Look at records and locks, and estimate what is left if that is due.

        Raises:
            UserError, OSError: A record or a lock cannot be read.
        """
        began = self._clock()
        self.standing.look()
        self._num_running.append(len(self.standing.running))
        ended = self._clock()
        self.pause_seconds = max(LOOK_SECONDS, (ended - began) / MOST_SHARE)
        if ended >= self._next_forecast:
            self._forecast()
            took = self._clock() - ended
            self._next_forecast = self._clock() + max(FORECAST_SECONDS, took / MOST_SHARE)

    def describe(self, now: datetime) -> str:
        """One line."""
        counts = self.counts
        if self.forecast is None or not counts.running:
            return f"sweep: {counts}"
        return f"sweep: {counts}; {self.forecast.describe(now)}"

    def _forecast(self) -> None:
        standing, tried = self.standing, self.tried or ()
        left = [standing.configs[place] for place in standing.undone if place not in tried]
        self.forecast = forecast(left, max(self._num_running), list(standing.done.values()))

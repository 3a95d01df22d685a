"""When a sweep will end, by what its finished runs took; imports torch when it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from rps_bench.config import RunConfig
from rps_bench.records.schema import Record
from rps_bench.sweep.estimate import (
    estimate_seconds,
    format_seconds,
    has_times,
    runs_at_once,
)


@dataclass(frozen=True)
class Forecast:
    """What is left of a sweep.

    Attributes:
        seconds: Until its runs of known time have ended, as many at once as now.
        num_unknown: Runs of which no finished one tells the time.
    """

    seconds: float
    num_unknown: int

    def describe(self, now: datetime) -> str:
        """Such as ``expected end about 17:05 (2.1 h)``."""
        end = f"expected end about {_name_time(now + timedelta(seconds=self.seconds), now)}"
        unknown = f", and {self.num_unknown} of unknown time" if self.num_unknown else ""
        return f"{end} ({format_seconds(self.seconds)}{unknown})"


def forecast(
    undone: Sequence[RunConfig], num_running: int, records: Sequence[Record]
) -> Forecast | None:
    """Estimate what is left, None where nothing is to go by.

    A method that costs more weighs more: each run takes what runs most like it took for an epoch
    of as many images, times the epochs that it has left.

    Args:
        undone: The runs that are left, those in progress first.
        num_running: How many are done at once.
        records: Of this sweep's finished runs.
    """
    timed = [record for record in records if has_times(record)]
    if not (timed and num_running):
        return None
    from rps_bench.sweep.workload import Workload  # imports torch

    workload = Workload(timed)
    rates: dict[object, float | None] = {}
    seconds: list[float | None] = []
    for config in undone:
        num_epochs = workload.add(config)
        network = config.arch, config.width, config.method, config.compression
        key = (config.data_source, config.recipe, network)
        if key not in rates:
            rates[key] = estimate_seconds(config, 1.0, timed)
        rate = rates[key]
        seconds.append(0.0 if num_epochs == 0 else None if rate is None else num_epochs * rate)
    known = [value for value in seconds if value is not None]
    if not known:
        return None
    # A run that takes turns with others has its share of a process: so much is done at once.
    shared_by = median(runs_at_once(record) for record in timed)
    num_at_once = min(num_running, len(undone)) / shared_by
    longest = max(known) * shared_by  # alone in the end
    return Forecast(max(sum(known) / num_at_once, longest), len(seconds) - len(known))


def _name_time(end: datetime, now: datetime) -> str:
    """The time of day, with its day where that is not today."""
    if end.date() == now.date():
        return f"{end:%H:%M}"
    return f"{end:%a %H:%M}" if end - now < timedelta(days=6) else f"{end:%Y-%m-%d}"

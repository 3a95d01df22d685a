"""Where a run computes, and beside what: the checks of these settings. Imports no torch."""

from collections.abc import Mapping
from typing import Any

from rps_bench.config import Compute
from rps_bench.core import checks
from rps_bench.core.errors import UserError

LARGEST_THREADS = 1024  # of a process
LARGEST_PROCESSES = 1024
LARGEST_RUNS_PER_GPU = 1024
LARGEST_POPULATION = 32  # PyTorch has as many streams for each GPU


def read_compute(composed: Mapping[str, Any]) -> Compute:
    """The settings of `Compute` among a run's composed ones.

    Raises:
        UserError: A bad value, or two that do not go together.
    """
    processes = _number_or_auto("processes", composed["processes"], LARGEST_PROCESSES)
    population = _number_or_auto("population", composed["population"], LARGEST_POPULATION)
    if processes not in (None, 1) and population != 1:
        raise UserError(
            f"processes={processes} shares runs out one by one; for several at once in each, leave "
            "population out, or set processes=1 and give the command several times"
        )
    return Compute(
        device=checks.text("device", composed["device"]),
        deterministic=checks.truth_value("deterministic", composed["deterministic"]),
        threads=_threads(composed["threads"]),
        processes=processes,
        gpus=_gpus(composed["gpus"]),
        runs_per_gpu=checks.whole_number(
            "runs_per_gpu", composed["runs_per_gpu"], 1, LARGEST_RUNS_PER_GPU
        ),
        population=population,
    )


def _threads(value: object) -> int | None:
    if value is None:
        return None
    return checks.whole_number("threads", value, 1, LARGEST_THREADS, "null or ")


def _gpus(value: object) -> tuple[int, ...]:
    """Numbers of the GPUs to divide runs over; none: ``device`` alone says where."""
    if value is None:
        return ()
    if not isinstance(value, list) or not value:
        wanted = "null or a list of GPU numbers such as [0,1]"
        checks.refuse("gpus", wanted, value)
    return tuple(checks.whole_number("gpus", number, 0) for number in value)


def _number_or_auto(key: str, value: object, largest: int) -> int | None:
    """A number from 1 to ``largest``, None for auto."""

    def fits(value: object) -> bool:
        return value == "auto" or (type(value) is int and 1 <= value <= largest)

    if not fits(value):
        checks.refuse(key, f"auto or a whole number from 1 to {largest}", value, fits)
    return None if value == "auto" else value  # type: ignore[return-value]

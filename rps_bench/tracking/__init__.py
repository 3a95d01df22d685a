"""Trackers by name: they show runs on a dashboard during training. Records never depend on them.

Imports neither torch nor a dashboard's package.
"""

import inspect
from typing import Any

from rps_bench.core import checks
from rps_bench.core.nearest import unknown_name
from rps_bench.tracking.base import RunDescription, Tracker
from rps_bench.tracking.none import NoTracker
from rps_bench.tracking.progress import TrackedProgress
from rps_bench.tracking.trackio.tracker import TrackioTracker
from rps_bench.tracking.weights_and_biases.tracker import WandbTracker

__all__ = [
    "TRACKERS",
    "RunDescription",
    "TrackedProgress",
    "Tracker",
    "build_tracker",
    "default_options",
]

TRACKERS: dict[str, type[Tracker]] = {
    "none": NoTracker,
    "wandb": WandbTracker,
    "trackio": TrackioTracker,
}


def default_options(name: str) -> dict[str, Any]:
    """A tracker's options with their defaults."""
    parameters = inspect.signature(TRACKERS[name]).parameters
    return {option: parameter.default for option, parameter in parameters.items()}


def build_tracker(name: str, **options: Any) -> Tracker:
    """A tracker for one run; it does no work before ``start``.

    Args:
        name: A name of ``TRACKERS``.
        options: The tracker's own options.

    Raises:
        UserError: Unknown name or option, or a bad value; the message says what is allowed.
    """
    checks.choice("tracking", name, TRACKERS)
    allowed = default_options(name)
    for option in options:
        if option not in allowed:
            raise unknown_name("key", f"tracking.{option}", [f"tracking.{key}" for key in allowed])
    return TRACKERS[name](**options)

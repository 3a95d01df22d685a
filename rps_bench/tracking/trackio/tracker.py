"""trackio, on the side of the run: options, and the settings that its worker needs."""

import secrets
from typing import Any

from rps_bench.tracking.base import RunDescription
from rps_bench.tracking.describe import flat_settings, group_name, name_text, run_name
from rps_bench.tracking.relay.tracker import RelayTracker
from rps_bench.tracking.trackio.environment import require_package
from rps_bench.tracking.trackio.runs import DEFAULT_PROJECT, SERVICE, check_project


class TrackioTracker(RelayTracker):
    """One run on a dashboard of trackio, whose files lie in the results folder.

    Args:
        project: trackio project.
        group: Name of the sweep; by default dataset-arch-recipe, and the split unless it is test.

    Raises:
        UserError: trackio is not installed, or does not accept a value.
    """

    service = SERVICE

    def __init__(self, project: str = DEFAULT_PROJECT, group: str | None = None) -> None:
        super().__init__()
        require_package()
        self.project = check_project(project)
        self.group = None if group is None else name_text("tracking.group", group)

    def plan(self, run: RunDescription) -> dict[str, Any]:
        """The settings with which the worker opens the run."""
        return {
            "run_id": run.run_id,
            "results_dir": run.results_dir,
            "project": self.project,
            "name": run_name(run.config),
            "group": self.group or group_name(run.config),
            "config": flat_settings(run),
            "opening": secrets.token_hex(8),
        }

"""Weights & Biases, on the side of the run: options, and the settings that its worker needs."""

import os
from collections.abc import Callable
from typing import Any

from rps_bench.core import checks
from rps_bench.core.errors import UserError
from rps_bench.core.shown import show
from rps_bench.tracking.base import RunDescription
from rps_bench.tracking.describe import flat_settings, group_name, name_text, run_name
from rps_bench.tracking.relay.tracker import RelayTracker
from rps_bench.tracking.weights_and_biases.environment import VARIABLES, read_wishes, tell_not_taken
from rps_bench.tracking.weights_and_biases.session import CONNECT_SECONDS, SERVICE

DEFAULT_PROJECT = "rps_bench"
MODES = ("online", "offline")
LONGEST_TAG = 64
NOT_IN_PROJECTS = "/\\#?%:"


class WandbTracker(RelayTracker):
    """One run on W&B. Options that are None are taken from the user's W&B variables.

    Args:
        project: W&B project; by default rps_bench.
        entity: User or team; by default that of the login.
        mode: online or offline; by default online when logged in, else offline.
        group: Name of the sweep; by default dataset-arch-recipe, and the split unless it is test.
        tags: Tags of the run.
        dir: Where wandb makes its folder ``wandb``; by default the results folder.

    Raises:
        UserError: W&B does not accept a value.
    """

    service = SERVICE

    def __init__(
        self,
        project: str | None = None,
        entity: str | None = None,
        mode: str | None = None,
        group: str | None = None,
        tags: tuple[str, ...] | list[str] | None = None,
        dir: str | None = None,
    ) -> None:
        super().__init__()
        wishes = read_wishes(os.environ)
        given = _either("project", project, wishes.project) or ("", DEFAULT_PROJECT)
        self.project = check_project(given[1], given[0])
        self.entity = _checked(checks.text, _either("entity", entity, wishes.entity))
        self.mode = wishes.mode if mode is None else checks.choice("tracking.mode", mode, MODES)
        self.group = _checked(name_text, _either("group", group, wishes.group))
        self.tags = _tags(*(_either("tags", tags, wishes.tags) or ("", ())))
        self.dir = _checked(checks.path, _either("dir", dir, wishes.dir))
        self.job_type = _checked(name_text, _either("job_type", None, wishes.job_type))
        self.name = _checked(name_text, _either("name", None, wishes.name))
        self.notes, self.sweep = wishes.notes, wishes.sweep

    def start(self, run: RunDescription) -> None:
        """Start the worker, unless the user has switched W&B off."""
        if self.mode == "disabled":
            return
        tell_not_taken(os.environ)
        super().start(run)

    def root(self, run: RunDescription) -> str:
        """The folder that holds wandb's own."""
        return self.dir or run.results_dir

    def identity(self, run: RunDescription) -> str:
        """The id that the agent of a W&B sweep gave the run, else that of its record."""
        return self.sweep.get("WANDB_RUN_ID", run.run_id)

    def plan(self, run: RunDescription) -> dict[str, Any]:
        """The settings with which the worker opens the run."""
        return {
            "run_id": run.run_id,
            "results_dir": run.results_dir,
            "dir": self.dir,
            "mode": self.mode,
            "project": self.project,
            "entity": self.entity,
            "group": self.group or group_name(run.config),
            "job_type": self.job_type or run.config["method"],
            "name": self.name or run_name(run.config),
            "notes": self.notes,
            "sweep": dict(self.sweep),
            "tags": list(self.tags),
            "config": flat_settings(run),
            "connect_seconds": CONNECT_SECONDS,
        }


def check_project(name: object, key: str = "tracking.project") -> str:
    """The name, if W&B accepts it as a project.

    Raises:
        UserError: W&B does not accept it; the message calls it ``key``.
    """
    text = name_text(key, name)
    if set(text) & set(NOT_IN_PROJECTS):
        raise UserError(f"{key} must have none of {NOT_IN_PROJECTS}, got {show(text)}")
    return text


def _either(option: str, value: object, variable: object) -> tuple[str, object] | None:
    """Where a value comes from, for messages, and the value: the option's or the variable's."""
    if value is not None:
        return f"tracking.{option}", value
    return (VARIABLES[option], variable) if variable else None


def _checked(check: Callable[[str, object], str], given: tuple[str, object] | None) -> str | None:
    return None if given is None else check(*given)


def _tags(key: str, tags: object) -> tuple[str, ...]:
    if not isinstance(tags, list | tuple):
        raise UserError(f"{key} must be a list such as [a,b], got {show(tags)}")
    return tuple(name_text(key, tag, LONGEST_TAG) for tag in tags)

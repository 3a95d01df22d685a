"""Runs of wandb, opened without its console output. Imports wandb only when called."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from rps_bench.runtime.locks import make_lock
from rps_bench.tracking.describe import dashboard_run_id
from rps_bench.tracking.relay.troubles import first_line, require_space
from rps_bench.tracking.service import Service, sync_command
from rps_bench.tracking.weights_and_biases.environment import MODES
from rps_bench.tracking.weights_and_biases.folder_id import folder_id
from rps_bench.tracking.weights_and_biases.reach import why_out_of_reach

if TYPE_CHECKING:
    import wandb

FOLDER = "wandb"  # wandb's own name for its folder
SERVICE = Service("W&B", FOLDER, "rps_bench.tracking.weights_and_biases.worker")
CONNECT_SECONDS = 15.0  # to reach a server; without one the run is written offline
# wandb's own time limits on a server's answer, at the start and the end of a run. They are seconds
# on the clock, so they must suffice on a slow machine.
ANSWER_SECONDS = 120.0


@dataclass(frozen=True)
class RunToOpen:
    """A run to open.

    Attributes:
        run_id: Id of the run within the results folder.
        results_dir: The results folder.
        project: W&B project.
        name: Displayed name of the run.
        group: Name of the sweep.
        job_type: The method, or report.
        entity: User or team; None for the login's default.
        mode: online, offline or disabled; None: online when logged in, else offline.
        notes: Text on the run's page.
        sweep: Variables of a W&B sweep, by name; they determine id, project and entity.
        dir: Folder in which the folder ``wandb`` is made; None: the results folder.
        tags: Tags of the run.
        config: Flat settings.
        connect_seconds: How long to try to reach a server before the run is written offline.
    """

    run_id: str
    results_dir: str
    project: str
    name: str
    group: str
    job_type: str
    entity: str | None = None
    mode: str | None = None
    notes: str | None = None
    sweep: Mapping[str, str] = field(default_factory=dict)
    dir: str | None = None
    tags: list[str] = field(default_factory=list)
    config: Mapping[str, Any] = field(default_factory=dict)
    connect_seconds: float = CONNECT_SECONDS

    @property
    def root(self) -> Path:
        """The folder that holds ``wandb``."""
        return Path(self.dir or self.results_dir).absolute()

    @property
    def folder(self) -> Path:
        """The folder ``wandb`` that holds the runs."""
        return self.root / FOLDER


def is_logged_in() -> bool:
    """Whether credentials are stored, without asking the user or the network."""
    import wandb

    return wandb.login(prompt=False, verify=False)


def open_run(wanted: RunToOpen) -> tuple["wandb.Run", str | None]:
    """Open a run: online if wanted and possible, else offline.

    Returns:
        The run, and a line to show if it should be online but is not.

    Raises:
        OSError: The folder cannot be written.
        wandb.errors.Error: wandb refuses the run for another reason.
    """
    import wandb

    # The same id in every command, so that a resumed run continues its curves.
    identity = dashboard_run_id(wanted.run_id, folder_id(Path(wanted.results_dir) / FOLDER))
    if wanted.sweep:
        os.environ.update({"WANDB_RUN_ID": identity, **wanted.sweep})
        wandb.teardown()  # wandb reads the variables only when its service starts
    # wandb itself does not report a full disk, and silently uses a temporary folder if it cannot
    # write.
    require_space(wanted.folder)
    mode, note = _choose_mode(wanted.mode)
    if mode == "online":
        try:
            _require_server(wanted.connect_seconds)
            return _init(wanted, identity, mode), None
        except (wandb.errors.Error, OSError, TimeoutError) as error:
            note = f"no run online ({first_line(error)})"
            wandb.teardown()  # or its service keeps the id for the run that it failed to open
    run = _init(wanted, identity, "offline" if mode == "online" else mode)
    if note is not None:
        command = sync_command(wanted.dir or wanted.results_dir)
        note += f"; the run is written to {wanted.folder}, to be sent by: {command}"
    return run, note


def _choose_mode(wanted: str | None) -> tuple[str, str | None]:
    """The mode, and a line to show if there is a login that cannot be used."""
    import wandb

    if wanted is not None:
        return wanted, None
    set_by_command = MODES[wandb.setup().settings.mode]  # `wandb offline` and `wandb disabled`
    if set_by_command != "online":
        return set_by_command, None
    try:
        return ("online" if is_logged_in() else "offline"), None
    except wandb.errors.Error as error:
        return "offline", f"no run online ({first_line(error)})"


def _require_server(seconds: float) -> None:
    """Raise an OSError if the server cannot be reached."""
    import wandb

    if (reason := why_out_of_reach(wandb.setup().settings.base_url, seconds)) is not None:
        raise reason


def _init(wanted: RunToOpen, identity: str, mode: str) -> "wandb.Run":
    import wandb

    settings = wandb.Settings(
        root_dir=str(wanted.root),
        use_dot_wandb=False,
        init_timeout=ANSWER_SECONDS,
        finish_timeout=ANSWER_SECONDS,
        finish_timeout_raises=True,
        x_service_wait=ANSWER_SECONDS,
        x_transaction_log_flush_interval=5.0,  # what a killed machine may lose, in seconds
        silent=True,
        console="off",
        disable_code=True,
        save_code=False,
        disable_git=True,
        disable_job_creation=True,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
        allow_offline_artifacts=False,  # tables lie in the run's own folder
    )
    is_own = not wanted.sweep  # for a sweep, wandb takes project and id from the variables alone
    return wandb.init(
        project=wanted.project if is_own else None,
        entity=wanted.entity if is_own else None,
        id=identity if is_own else None,
        name=wanted.name,
        group=wanted.group,
        job_type=wanted.job_type,
        notes=wanted.notes,
        tags=wanted.tags,
        config=dict(wanted.config),
        mode=mode,  # type: ignore[arg-type]
        resume="allow",
        allow_val_change=True,
        settings=settings,
    )


def run_folder(run: "wandb.Run") -> Path:
    """The folder of an open run."""
    return Path(run.dir).parent


def hold_open(folder: Path) -> FileLock:
    """The lock of a run's folder, held while the run is written and freed if its holder dies."""
    return make_lock(folder / "open.lock")

"""A run of wandb, opened quietly and without its noise. Imports wandb only when called."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from rps_bench.locks import make_lock
from rps_bench.permissions import make_folder
from rps_bench.tracking.describe import wandb_run_id
from rps_bench.tracking.environment import MODES
from rps_bench.tracking.folder_id import folder_id
from rps_bench.tracking.reach import why_out_of_reach

if TYPE_CHECKING:
    import wandb

FOLDER = "wandb"  # wandb's own name for its folder
CONNECT_SECONDS = 15.0  # to find a server; a run that finds none is written offline
# wandb's own bound on a server that is there, at the start and at the end of a run. It counts
# seconds on the clock, so it has to suffice on a slow machine.
ANSWER_SECONDS = 120.0
SPACE_BYTES = 1 << 16  # more than a run of some hundred epochs writes


@dataclass(frozen=True)
class Plan:
    """A run to open.

    Attributes:
        run_id: Identity within the results folder.
        results_dir: The results folder.
        project: W&B project.
        name: Shown.
        group: Name of the sweep.
        job_type: The method, or report.
        entity: User or team; None for the login's default.
        mode: online, offline or disabled; None: online when logged in, else offline.
        notes: On the run's page.
        sweep: Variables of a W&B sweep, by name; they settle id, project and entity.
        dir: Where the folder ``wandb`` lies; None: in the results folder.
        tags: Of the run.
        config: Flat settings.
        connect_seconds: How long to look for a server before the run is written offline.
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
        """The folder of the runs."""
        return self.root / FOLDER


def is_logged_in() -> bool:
    """Whether there are credentials, without asking the user or the network."""
    import wandb

    return wandb.login(prompt=False, verify=False)


def open_run(plan: Plan) -> tuple["wandb.Run", str | None]:
    """Open a run, online if wanted and possible, else in files.

    Returns:
        The run, and a line to show if it was to be online but is not.

    Raises:
        OSError: The folder cannot be written.
        wandb.errors.Error: Anything else that wandb does not like.
    """
    import wandb

    identity = wandb_run_id(plan.run_id, folder_id(Path(plan.results_dir) / FOLDER))
    if plan.sweep:
        os.environ.update({"WANDB_RUN_ID": identity, **plan.sweep})
        wandb.teardown()  # it reads the variables once
    require_space(plan.folder)
    mode, note = _choose_mode(plan.mode)
    if mode == "online":
        try:
            _require_server(plan.connect_seconds)
            return _init(plan, identity, mode), None
        except (wandb.errors.Error, OSError, TimeoutError) as error:
            note = f"no run online ({first_line(error)})"
            wandb.teardown()  # the service would hold the id for the run that it could not open
    run = _init(plan, identity, "offline" if mode == "online" else mode)
    if note is not None:
        command = sync_command(plan.dir or plan.results_dir)
        note += f"; it is written to {plan.folder}, to be sent by: {command}"
    return run, note


def sync_command(root: str | Path) -> str:
    """What sends everything that waits in the folder ``wandb`` of a folder."""
    return f"python -m rps_bench.tracking sync {root}"


def first_line(error: BaseException) -> str:
    """An error as one line with its kind."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}" if lines[0] else type(error).__name__


def _choose_mode(wanted: str | None) -> tuple[str, str | None]:
    """The mode, and what to say if a login is there that cannot be used."""
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
    """Raise an OSError unless there is a server to talk to."""
    import wandb

    if (reason := why_out_of_reach(wandb.setup().settings.base_url, seconds)) is not None:
        raise reason


def _init(plan: Plan, identity: str, mode: str) -> "wandb.Run":
    import wandb

    settings = wandb.Settings(
        root_dir=str(plan.root),
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
    is_own = not plan.sweep  # wandb takes a sweep's place and id from the variables alone
    return wandb.init(
        project=plan.project if is_own else None,
        entity=plan.entity if is_own else None,
        id=identity if is_own else None,
        name=plan.name,
        group=plan.group,
        job_type=plan.job_type,
        notes=plan.notes,
        tags=plan.tags,
        config=dict(plan.config),
        mode=mode,  # type: ignore[arg-type]
        resume="allow",
        allow_val_change=True,
        settings=settings,
    )


def run_folder(run: "wandb.Run") -> Path:
    """The folder of an open run."""
    return Path(run.dir).parent


def hold_open(folder: Path) -> FileLock:
    """A lock that says that a run in this folder is still written; freed when its holder dies."""
    return make_lock(folder / "open.lock")


def require_space(folder: Path) -> None:
    """Raise an OSError unless the folder takes some data.

    wandb says nothing of a full disk, and turns to a temporary folder where it cannot write.
    """
    make_folder(folder)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(SPACE_BYTES))

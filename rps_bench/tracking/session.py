"""A run of wandb, opened quietly and without its noise. Imports wandb only when called."""

import tempfile
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from rps_bench.locks import make_lock
from rps_bench.permissions import make_folder
from rps_bench.tracking.describe import wandb_run_id
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

# What of a user's environment still counts: who and where they are. All else, a run id of another
# run for example, would change runs that say everything themselves.
_KEPT = {
    "API_KEY",
    "APP_URL",
    "BASE_URL",
    "CACHE_DIR",
    "CONFIG_DIR",
    "CREDENTIALS_FILE",
    "DATA_DIR",
    "ERROR_REPORTING",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IDENTITY_TOKEN_FILE",
    "INSECURE_DISABLE_SSL",
    "X_EXTRA_HTTP_HEADERS",
}
_MODES = ("online", "offline", "disabled")


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


def settle_environment(scratch: str, environment: MutableMapping[str, str]) -> None:
    """Leave of the user's W&B variables who they are, and give wandb a place for its caches.

    Call before wandb is imported. Nothing is written to the user's home then.

    Args:
        scratch: A folder that lives as long as wandb is in use.
        environment: Changed in place.
    """
    for name in [name for name in environment if name.startswith("WANDB_")]:
        if name.removeprefix("WANDB_") not in _KEPT:
            del environment[name]
    environment.setdefault("WANDB_CACHE_DIR", scratch)
    environment.setdefault("WANDB_DATA_DIR", scratch)
    environment.setdefault("WANDB_ERROR_REPORTING", "false")
    environment["WANDB_SILENT"] = "true"  # what matters comes back as errors


def wanted_mode(mode: str | None, environment: Mapping[str, str]) -> str | None:
    """The mode asked for, here or by the user's variable; None: whatever the login allows."""
    variable = environment.get("WANDB_MODE")
    return mode or (variable if variable in _MODES else None)


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
    return wandb.init(
        project=plan.project,
        entity=plan.entity,
        id=identity,
        name=plan.name,
        group=plan.group,
        job_type=plan.job_type,
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

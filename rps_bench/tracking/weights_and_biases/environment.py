"""The user's W&B environment variables: those that runs follow, and those that have no effect.

They mean what they mean to any program that uses wandb. Options on the command line override them.
"""

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from rps_bench.core.errors import UserError

PREFIX = "WANDB_"
# Account, server and folders of the user: wandb reads these itself.
KEPT = frozenset(
    PREFIX + name
    for name in (
        "API_KEY", "APP_URL", "BASE_URL", "CACHE_DIR", "CONFIG_DIR", "CREDENTIALS_FILE",
        "DATA_DIR", "ERROR_REPORTING", "FILE_PUSHER_TIMEOUT", "HTTPS_PROXY", "HTTP_PROXY",
        "HTTP_TIMEOUT", "IDENTITY_TOKEN_FILE", "INSECURE_DISABLE_SSL", "X_EXTRA_HTTP_HEADERS",
    )
)  # fmt: skip
# Options of a run, and the variables that give their defaults.
VARIABLES = {
    "project": "WANDB_PROJECT", "entity": "WANDB_ENTITY", "mode": "WANDB_MODE",
    "group": "WANDB_RUN_GROUP", "job_type": "WANDB_JOB_TYPE", "name": "WANDB_NAME",
    "notes": "WANDB_NOTES", "tags": "WANDB_TAGS", "dir": "WANDB_DIR",
}  # fmt: skip
TAKEN = frozenset(VARIABLES.values()) | {"WANDB_DISABLED", "WANDB_SWEEP_ID"}
# The agent of a W&B sweep sets the run's id, and a file with the settings it chose.
OF_SWEEPS = frozenset({"WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"})
# No warning is due for these: they belong to other programs or to wandb's own processes, or ask for
# what is so anyway (runs are silent and send no console output, code or state of git).
NOT_OURS = ("AGENT_", "DISABLE_CODE", "DISABLE_GIT", "QUIET", "SERVICE", "SILENT")
MODES = {
    "online": "online", "run": "online", "offline": "offline", "dryrun": "offline",
    "disabled": "disabled",
}  # fmt: skip
_YES = {"1", "true", "yes", "on"}


@dataclass(frozen=True)
class Wishes:
    """The options that a user's variables ask for; None and empty: not set.

    Attributes:
        project: W&B project.
        entity: User or team.
        mode: online, offline or disabled.
        group: Name of the sweep of runs.
        job_type: Kind of the run.
        name: Displayed name of the run.
        notes: Notes on the run.
        dir: Where wandb makes its folder ``wandb``.
        tags: Tags of the run.
        sweep: Variables of a W&B sweep whose agent started this process, by name; wandb takes such
            a run's id, project and entity only from these.
    """

    project: str | None = None
    entity: str | None = None
    mode: str | None = None
    group: str | None = None
    job_type: str | None = None
    name: str | None = None
    notes: str | None = None
    dir: str | None = None
    tags: tuple[str, ...] = ()
    sweep: Mapping[str, str] = field(default_factory=dict)


def read_wishes(environment: Mapping[str, str]) -> Wishes:
    """The options that the variables ask for; an empty variable asks for nothing."""
    given = {key: value for key, value in environment.items() if value.strip()}
    sweep_keys = {"WANDB_SWEEP_ID", "WANDB_PROJECT", "WANDB_ENTITY", *OF_SWEEPS} & set(given)
    texts = {option: given.get(variable) for option, variable in VARIABLES.items()}
    tags = (texts.pop("tags") or "").split(",")
    return Wishes(
        **texts | {"mode": _mode(given)},
        tags=tuple(tag.strip() for tag in tags if tag.strip()),
        sweep={key: given[key] for key in sorted(sweep_keys)} if "WANDB_SWEEP_ID" in given else {},
    )


def find_not_taken(environment: Mapping[str, str]) -> list[str]:
    """The names of the W&B variables that are set but have no effect."""
    wishes = read_wishes(environment)
    taken = KEPT | TAKEN | (OF_SWEEPS if wishes.sweep else frozenset())
    if wishes.mode is None:
        taken -= {"WANDB_MODE"}  # set to a mode that does not exist
    silent = tuple(PREFIX + name for name in NOT_OURS)
    return sorted(
        key
        for key, value in environment.items()
        if key.startswith(PREFIX) and value.strip() and key not in taken
        if not key.startswith(silent)
    )


def tell_not_taken(environment: Mapping[str, str]) -> None:
    """Print once per process, in one line, which variables have no effect."""
    if names := find_not_taken(environment):
        _tell_once(", ".join(names))


@cache
def _tell_once(names: str) -> None:
    line = f"no effect of {names}: runs set this themselves and resume under their own ids"
    print(f"rps_bench: W&B: {line}", file=sys.stderr, flush=True)


def require_one_run(trackers: Sequence[str], environment: Mapping[str, str]) -> None:
    """Refuse several runs started by a W&B sweep's agent, whose single id would merge them on W&B.

    Args:
        trackers: The name of each run's tracker.
        environment: The variables.

    Raises:
        UserError: There are several runs, and some of them go to W&B.
    """
    has_id = "WANDB_RUN_ID" in read_wishes(environment).sweep
    if has_id and len(trackers) > 1 and "wandb" in trackers:
        raise UserError(
            f"the agent of a W&B sweep starts one run a command, got {len(trackers)}: "
            "put what varies into the sweep's parameters"
        )


def settle_environment(scratch: str, environment: MutableMapping[str, str]) -> None:
    """Keep only the user's account variables, and give wandb a place for its caches.

    Call this before wandb is imported, so that it writes nothing to the user's home.

    Args:
        scratch: A folder that exists as long as wandb is in use.
        environment: Changed in place.
    """
    for name in [name for name in environment if name.startswith(PREFIX)]:
        if name not in KEPT:
            del environment[name]
    environment.setdefault("WANDB_CACHE_DIR", scratch)
    environment.setdefault("WANDB_DATA_DIR", scratch)
    environment.setdefault("WANDB_ERROR_REPORTING", "false")
    environment["WANDB_SILENT"] = "true"  # important messages come back as errors


def _mode(given: Mapping[str, str]) -> str | None:
    if given.get("WANDB_DISABLED", "").strip().lower() in _YES:
        return "disabled"
    return MODES.get(given.get("WANDB_MODE", ""))

"""From command-line overrides to checked configs: every run of a sweep is known before the first.

Hydra composes and launches; this page only looks ahead, so that a bad value ends the command in
one line before any data is touched, and finished runs cost nothing.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rps_bench.config import RunConfig
from rps_bench.console import say
from rps_bench.errors import UserError
from rps_bench.freeze import TOP_KEYS, InapplicableError, freeze

CONFIG_NAME = "config"


def config_folder() -> Path:
    """The folder of the yaml files: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside, beside = package / "conf", package.parent / "conf"
    return inside if inside.is_dir() else beside


def hydra_version_base() -> dict[str, str]:
    """Hydra 1.3 asks for ``version_base``, later versions warn about it."""
    return {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}


def plan_runs(overrides: Sequence[str], is_sweep: bool) -> tuple[list[RunConfig], bool]:
    """Compose and check every run of a command line.

    Args:
        overrides: The command line's ``key=value`` words.
        is_sweep: Whether ``-m`` was given.

    Returns:
        The runs in launching order, and whether the command is a sweep (an experiment file can
        make it one).

    Raises:
        UserError: Anything wrong in any of them; one line that names what is allowed.
    """
    try:
        with initialize_config_dir(
            str(config_folder()), job_name="rps_bench", **hydra_version_base()
        ):
            jobs, is_sweep = _jobs(list(overrides), is_sweep)
            return _freeze_jobs(jobs, is_sweep), is_sweep
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_explain(error)) from error


def freeze_composed(composed: DictConfig) -> RunConfig:
    """Freeze what Hydra composed."""
    table: Any = OmegaConf.to_container(composed, resolve=True)
    return freeze(table, config_folder())


def require_writable(folder: str) -> None:
    """Raise a UserError unless files can be written into the folder, which is made if missing."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(
            f"results_dir {folder} cannot be written ({reason}); name a folder that can"
        ) from error


def _jobs(overrides: list[str], is_sweep: bool) -> tuple[list[list[str]], bool]:
    """The overrides of each job: the Cartesian product of all lists, as Hydra launches them."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    plain = [o.input_line for o in parsed if not o.is_sweep_override() and o.input_line]
    settings = compose(CONFIG_NAME, plain, return_hydra_config=True).hydra
    is_sweep = is_sweep or settings.mode == RunMode.MULTIRUN
    if not is_sweep:
        return [overrides], False
    params = [f"{key}={value}" for key, value in (settings.sweeper.params or {}).items()]
    parsed = OverridesParser.create().parse_overrides([*params, *overrides])
    return [list(job) for job in BasicSweeper.split_arguments(parsed, None)[0]], True


def _freeze_jobs(jobs: list[list[str]], is_sweep: bool) -> list[RunConfig]:
    configs = []
    inapplicable = None
    for job in jobs:
        try:
            configs.append(freeze_composed(compose(CONFIG_NAME, job)))
        except InapplicableError as error:
            if not is_sweep:
                raise
            inapplicable = error
            say(f"skipped: {error}")
    if not configs and inapplicable is not None:
        raise inapplicable
    return configs


def _explain(error: Exception) -> str:
    """A Hydra or OmegaConf error as one line."""
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return f"{group} must be one of {', '.join(error.options)}, got {choice}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = "; ".join(line for line in lines if "hydra.cc" not in line and "append" not in line)
    cause = error.__cause__
    parent = getattr(cause, "parent_node", None)
    if text.startswith("Could not override") and isinstance(parent, DictConfig):
        key = str(getattr(cause, "full_key", ""))
        prefix = key.rpartition(".")[0]
        allowed = TOP_KEYS if not prefix else tuple(str(name) for name in parent)
        names = ", ".join(f"{prefix}.{name}" if prefix else name for name in allowed)
        return f"unknown key {key}; allowed: {names}"
    return text.rstrip(".")

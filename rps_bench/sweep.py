"""From command-line overrides to checked configs: every run of a sweep is known before the first.

Hydra composes and launches; this page only looks ahead, so that a bad value ends the command in
one line before any data is touched, and finished runs cost nothing.
"""

import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from rps_bench import checks
from rps_bench.compose import CONFIG_NAME, Composer
from rps_bench.config import RunConfig
from rps_bench.errors import InapplicableError, UserError
from rps_bench.freeze import freeze
from rps_bench.locks import CHECKPOINTS_FOLDER
from rps_bench.permissions import explain_denial, find_obstacle, make_folder
from rps_bench.records.models import model_path
from rps_bench.records.store import record_path
from rps_bench.refusals import explain_refusal, refuse_unchosen
from rps_bench.storages import EXACT

THIS_PROCESS = "basic"  # Hydra's name for no launcher plugin
LARGEST_SWEEP = 100_000  # runs, which are all composed and checked before the first


def config_folder() -> Path:
    """The folder of the yaml files: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside, beside = package / "conf", package.parent / "conf"
    return inside if inside.is_dir() else beside


# In conf/config.yaml, for what Hydra makes itself of a folder that was typed.
OmegaConf.register_new_resolver("path", partial(checks.path, "results_dir"), replace=True)


def hydra_version_base() -> dict[str, str]:
    """Hydra 1.3 asks for ``version_base``, later versions warn about it."""
    return {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a command line, checked, and the overrides that make it."""

    config: RunConfig
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Every run of a command line.

    Attributes:
        runs: In the order of the command line's lists, each once.
        is_sweep: Whether ``-m`` was given, or an experiment file makes it a sweep.
        plain: The overrides that are the same for all runs.
        launcher: Name of Hydra's launcher; basic is this process.
        notes: One line on each kind of combination that was left out.
    """

    runs: tuple[PlannedRun, ...]
    is_sweep: bool
    plain: tuple[str, ...]
    launcher: str
    notes: tuple[str, ...]

    @property
    def configs(self) -> list[RunConfig]:
        """The runs' settings."""
        return [run.config for run in self.runs]


def plan_runs(overrides: Sequence[str], is_sweep: bool) -> Plan:
    """Compose and check every run of a command line.

    Args:
        overrides: The command line's ``key=value`` words.
        is_sweep: Whether ``-m`` was given.

    Raises:
        UserError: Anything wrong in any of them; one line that names what is allowed.
    """
    with initialize_config_dir(str(config_folder()), job_name="rps_bench", **hydra_version_base()):
        return _plan(list(overrides), is_sweep)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what Hydra raises into one line. Odd words make it raise nearly anything."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(explain_refusal(error, config_folder())) from error


def freeze_composed(composed: DictConfig) -> RunConfig:
    """Freeze what Hydra composed."""
    table: Any = OmegaConf.to_container(composed, resolve=True)
    return freeze(table, config_folder())


def require_writable(folder: str) -> None:
    """Raise a UserError unless files can be written into the folder, which is made if missing."""
    path = Path(folder)
    try:
        make_folder(path)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(
            f"results_dir {folder} cannot be written ({reason}); name a folder that can"
        ) from error


def require_places(configs: Iterable[RunConfig]) -> None:
    """Raise a UserError unless the runs may write where their files go.

    The folders below a results folder may be another user's, and hours of training would be lost.
    """
    for place in sorted({place for config in configs for place in _places(config)}):
        obstacle = find_obstacle(place.absolute())
        if obstacle is not None:
            raise UserError(f"{place} cannot be written: {explain_denial(place)}")


def _places(config: RunConfig) -> Iterator[Path]:
    """Folders that a run writes into; those that do not exist yet will be made."""
    yield record_path(*config.record_place).parent
    yield Path(config.results_dir) / CHECKPOINTS_FOLDER
    if config.keep_model:
        yield model_path(*config.record_place).parent


def _plan(overrides: list[str], is_sweep: bool) -> Plan:
    with explained():
        parsed = OverridesParser.create().parse_overrides(overrides)
        refuse_unchosen(parsed)
        plain = [o.input_line for o in parsed if not o.is_sweep_override() and o.input_line]
        settings = compose(CONFIG_NAME, plain, return_hydra_config=True).hydra
        is_sweep = is_sweep or settings.mode == RunMode.MULTIRUN
        launcher = str(settings.runtime.choices["hydra/launcher"])
        jobs = _list_jobs(settings, overrides) if is_sweep else [overrides]
    if launcher != THIS_PROCESS and not is_sweep:
        raise UserError(f"hydra/launcher={launcher} launches sweeps: add -m")
    runs, notes = _check(jobs, is_sweep)
    return Plan(runs, is_sweep, tuple(plain), launcher, notes)


def _list_jobs(settings: DictConfig, overrides: list[str]) -> list[list[str]]:
    """The overrides of every run of a sweep."""
    params = [f"{key}={value}" for key, value in (settings.sweeper.params or {}).items()]
    parsed = OverridesParser.create().parse_overrides([*params, *overrides])
    _check_size(parsed)
    return [list(job) for job in BasicSweeper.split_arguments(parsed, None)[0]]


def _check_size(parsed: Sequence[Override]) -> None:
    """Refuse lists that give no run, or more than there can be; before Hydra writes them out."""
    num_runs = math.prod({o.get_key_element(): _count_values(o) for o in parsed}.values())
    if not 0 < num_runs <= LARGEST_SWEEP:
        raise UserError(
            f"a sweep has 1 to {LARGEST_SWEEP} runs, these lists give {'more' if num_runs else 0}"
        )


def _count_values(override: Override) -> int:
    """Values of a list on the command line; one more than there can be runs stands for more."""
    value = override.value() if override.is_sweep_override() else None
    if isinstance(value, RangeSweep):
        return sum(1 for _ in islice(value.range(), LARGEST_SWEEP + 1))
    return len(value.list) if isinstance(value, ChoiceSweep) else 1


def _check(jobs: list[list[str]], is_sweep: bool) -> tuple[tuple[PlannedRun, ...], tuple[str, ...]]:
    """Freeze each job; leave out, with a note, what a sweep may leave out."""
    composer = Composer()
    runs: dict[str, PlannedRun] = {}
    left_out: Counter[str] = Counter()
    inapplicable: InapplicableError | None = None
    for job in jobs:
        with explained():
            composed = composer.compose(job)
        try:
            config = freeze(composed, config_folder())
        except InapplicableError as error:
            if not is_sweep:
                raise
            inapplicable = error
            left_out[str(error)] += 1
            continue
        runs.setdefault(config.run_id, PlannedRun(config, tuple(job)))
    if not runs and inapplicable is not None:
        raise inapplicable
    notes = [f"skipped{f' {n} times' if n > 1 else ''}: {note}" for note, n in left_out.items()]
    return tuple(_keep_what_is_rounded(runs)), tuple(notes)


def _keep_what_is_rounded(runs: Mapping[str, PlannedRun]) -> Iterator[PlannedRun]:
    """Let a run keep its model's file where others of the sweep round it: one training for all."""
    rounded = {
        run.config.with_exact_storage.run_id for run in runs.values() if run.config.storage != EXACT
    }
    for run_id, run in runs.items():
        if run_id in rounded:
            run = PlannedRun(run.config.with_exact_storage, (*run.overrides, "keep_model=true"))
        yield run

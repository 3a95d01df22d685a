"""From command-line overrides to checked configs: every run of a sweep is known before the first.

Hydra composes and launches; this page only looks ahead, so that a bad value ends the command in
one line before any data is touched, and finished runs cost nothing.
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from rps_bench.config import RunConfig
from rps_bench.core import checks
from rps_bench.core.conf_folder import config_folder
from rps_bench.core.errors import InapplicableError, UserError
from rps_bench.core.storages import EXACT
from rps_bench.sweep.compose import Composer, ResolverCache
from rps_bench.sweep.expansion import Expansion, expand, parse
from rps_bench.sweep.freeze import freeze
from rps_bench.sweep.hydra_errors import explained, refuse_unchosen
from rps_bench.sweep.hydra_words import (
    PARAMS,
    REPLACED_LAUNCHERS,
    check_hydra_words,
    explain_replaced,
)
from rps_bench.sweep.plugin_words import add_plugins
from rps_bench.sweep.sources import find_sources, opened_hydra
from rps_bench.tuning.choices import NoChoiceError

THIS_PROCESS = "basic"  # Hydra's name for no launcher plugin


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
        notes: One line on each kind of combination that was left out.
        launching: What a launcher needs to know.
    """

    runs: tuple[PlannedRun, ...]
    is_sweep: bool
    notes: tuple[str, ...]
    launching: "Launching"

    @property
    def configs(self) -> list[RunConfig]:
        """The runs' settings."""
        return [run.config for run in self.runs]


@dataclass(frozen=True)
class Launching:
    """How the runs of a command line are started.

    Attributes:
        launcher: Name of Hydra's launcher; basic is this process.
        plain: The overrides that are the same for all runs.
        sources: Places of yaml files beside the package's own.
        batch_size: Runs that a launcher is given at a time, None: all.
        environment: Variables that are set for the runs.
        cache: Values that are found once for a whole command, such as of ``${now:%Y}``.
    """

    launcher: str
    plain: tuple[str, ...]
    sources: tuple[str, ...]
    batch_size: int | None
    environment: dict[str, str]
    cache: ResolverCache | None


def plan_runs(overrides: Sequence[str], is_sweep: bool, config_dir: str | None = None) -> Plan:
    """Compose and check every run of a command line.

    Args:
        overrides: The command line's ``key=value`` words.
        is_sweep: Whether ``-m`` was given.
        config_dir: A folder of more yaml files, None for the package's own alone.

    Raises:
        UserError: Anything wrong in any of them; one line that names what is allowed.
    """
    with explained():
        words = parse(overrides)
        sources = find_sources(config_dir, words)
    check_hydra_words(words)
    whole, sources = add_plugins(overrides, words, sources)
    try:
        with opened_hydra(sources) as app:
            return _plan(whole, is_sweep, sources, app.config_loader)
    except NoChoiceError as error:
        others = [word for word in overrides if word.lstrip("+").partition("=")[0] != "protocol"]
        folder = [] if config_dir is None else ["--config-dir", config_dir]
        tune = shlex.join(["python", "-m", "rps_bench.tune", *folder, *others])
        raise UserError(f"{error}; {tune} chooses") from error


def _plan(
    overrides: Sequence[str], is_sweep: bool, sources: tuple[str, ...], loader: ConfigLoader
) -> Plan:
    with explained():
        words = parse(overrides, loader)
        refuse_unchosen(words)
        expansions = expand(words, loader, is_sweep)
    is_sweep = any(expansion.is_sweep for expansion in expansions)
    launcher = _find_launcher(expansions)
    _check_sweep_words(words, is_sweep, launcher)
    runs, notes, cache = _check(expansions, is_sweep)
    first = expansions[0]
    batch_size, environment = _find_batch_size(first.settings), _find_environment(first.settings)
    plain = (*first.hydra_words, *first.plain)
    launching = Launching(launcher, plain, sources, batch_size, environment, cache)
    return Plan(runs, is_sweep, notes, launching)


def _find_batch_size(settings: DictConfig) -> int | None:
    size = settings.sweeper.max_batch_size
    return None if size is None else checks.whole_number("hydra.sweeper.max_batch_size", size, 1)


def _find_environment(settings: DictConfig) -> dict[str, str]:
    """Variables to set, as a system takes them."""
    with explained():
        variables = {str(key): str(value) for key, value in settings.job.env_set.items()}
    for key, value in variables.items():
        if not key or "=" in key or "\0" in key + value:
            raise UserError(f"hydra.job.env_set.{key} cannot be a variable of the environment")
    return variables


def _find_launcher(expansions: Sequence[Expansion]) -> str:
    """The one launcher of all runs."""
    found = {
        (str(e.settings.runtime.choices["hydra/launcher"]), OmegaConf.to_yaml(e.settings.launcher))
        for e in expansions
    }
    if len(found) > 1:
        raise UserError(
            "these experiments are launched in different ways; give one command to each"
        )
    launcher = found.pop()[0]
    if launcher in REPLACED_LAUNCHERS:
        raise UserError(explain_replaced(launcher))
    return launcher


def _check_sweep_words(words: Sequence[Override], is_sweep: bool, launcher: str) -> None:
    """Refuse words that do something in a sweep only."""
    if is_sweep:
        return
    if launcher != THIS_PROCESS:
        raise UserError(f"hydra/launcher={launcher} launches sweeps: add -m")
    for word in words:
        if word.key_or_group.startswith(PARAMS):
            raise UserError(f"{word.input_line} is of a sweep: add -m")


def _check(
    expansions: Sequence[Expansion], is_sweep: bool
) -> tuple[tuple[PlannedRun, ...], tuple[str, ...], ResolverCache | None]:
    """Freeze each job; leave out, with a note, what a sweep may leave out."""
    cache: ResolverCache | None = None
    runs: dict[tuple[str, ...], PlannedRun] = {}
    processes: set[int | None] = set()
    left_out: Counter[str] = Counter()
    untuned: dict[str, None] = {}
    inapplicable: InapplicableError | None = None
    for expansion in expansions:
        composer = Composer(expansion.hydra_words, expansion.settings, cache)
        for job in expansion.jobs:
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
            except NoChoiceError as error:
                untuned[str(error)] = None
                continue
            processes.add(config.compute.processes)
            runs.setdefault(config.record_place, PlannedRun(config, job))
        cache = composer.cache
    if untuned:
        rest = f" and {len(untuned) - 1} more" if len(untuned) > 1 else ""
        raise NoChoiceError(f"{next(iter(untuned))}{rest}")
    if not runs and inapplicable is not None:
        raise inapplicable
    if len(processes) > 1:
        raise UserError("processes is for all runs of a command and can have one value only")
    notes = [f"skipped{f' {n} times' if n > 1 else ''}: {note}" for note, n in left_out.items()]
    return tuple(_keep_what_is_rounded(runs)), tuple(notes), cache


def _keep_what_is_rounded(runs: Mapping[tuple[str, ...], PlannedRun]) -> Iterator[PlannedRun]:
    """Let a run keep its model's file where others of the sweep round it: one training for all."""
    rounded = {
        run.config.with_exact_storage.record_place
        for run in runs.values()
        if run.config.storage != EXACT
    }
    for place, run in runs.items():
        if place in rounded:
            run = PlannedRun(run.config.with_exact_storage, (*run.overrides, "keep_model=true"))
        yield run

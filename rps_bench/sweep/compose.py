"""Composing many runs that differ little: Hydra takes 75 ms for one, a sweep has thousands.

Runs that differ in compression and seed only share one composition, into which those two values
are put, unless some value is computed from them.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from rps_bench.core.errors import UserError

ResolverCache = dict[str, Any]  # OmegaConf's

CONFIG_NAME = "config"
VARYING = ("compression", "seed")

_OF_HYDRA = re.compile(r"\$\{\s*hydra:([\w.]+)")
_OF_A_JOB = re.compile(r"\$\{\s*hydra:(?!runtime\.)")  # of Hydra's, what may differ between jobs
_FOR_ALL_RUNS = ("launcher", "sweeper")  # of Hydra's settings


class Composer:
    """Composes jobs within ``opened_hydra``.

    Args:
        hydra_words: Words of Hydra's own, which all jobs have in common.
        settings: Hydra's settings of the whole sweep, which no job may change; None: any are right.
        cache: Values that are found once for a whole command, such as of ``${now:%Y}``.
    """

    def __init__(
        self,
        hydra_words: Sequence[str] = (),
        settings: DictConfig | None = None,
        cache: ResolverCache | None = None,
    ) -> None:
        self.cache = cache
        self._hydra_words = hydra_words
        self._for_all_runs = None if settings is None else _find_shared_settings(settings)
        self._composed: dict[tuple[str, ...], dict[str, Any] | None] = {}

    def compose(self, job: Sequence[str]) -> dict[str, Any]:
        """One job's overrides -> plain containers, interpolations resolved.

        Raises:
            UserError: A choice of this job that changes how the whole sweep is run.
        """
        varying = {o.partition("=")[0]: o for o in job if o.partition("=")[0] in VARYING}
        rest = tuple(o for o in job if o.partition("=")[0] not in VARYING)
        if any(o.lstrip("+~").partition("=")[0] in VARYING for o in rest):
            return self._compose(job)[0]  # such as ++seed=1, which counts by its place
        if rest not in self._composed:
            table, depends_on_job = self._compose(rest)
            self._composed[rest] = None if depends_on_job else table
        shared = self._composed[rest]
        parsed = {key: _parse(override) for key, override in varying.items()}
        if shared is None or any(override.is_sweep_override() for override in parsed.values()):
            return self._compose(job)[0]  # a list outside a sweep: Hydra says what is wrong
        return shared | {key: override.value() for key, override in parsed.items()}

    def _compose(self, job: Sequence[str]) -> tuple[dict[str, Any], bool]:
        """One job's values, and whether some depend on the varying ones."""
        composed = compose(CONFIG_NAME, [*self._hydra_words, *job], return_hydra_config=True)
        if self._for_all_runs not in (None, _find_shared_settings(composed.hydra)):
            raise UserError(
                f"{' '.join(job)} changes hydra.launcher or hydra.sweeper, which all runs of a "
                "sweep have in common; only an experiment may change them"
            )
        own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        text = OmegaConf.to_yaml(own, resolve=False)
        depends_on_job = any(f"{{{key}}}" in text for key in VARYING) or _OF_A_JOB.search(text)
        if self.cache is not None:
            OmegaConf.set_cache(own, self.cache)
        used = _OF_HYDRA.findall(text)
        with known_settings(composed, used) if used else nullcontext():
            table: Any = OmegaConf.to_container(own, resolve=True)
        self.cache = OmegaConf.get_cache(own)
        return dict(table), bool(depends_on_job)


@contextmanager
def known_settings(composed: DictConfig, names: Sequence[str] = ()) -> Iterator[None]:
    """``${hydra:NAME}`` finds Hydra's settings, as it does in a job.

    Raises:
        UserError: One that has no value before a job starts, when all of it is planned.
    """
    for name in names:
        if OmegaConf.select(composed.hydra, name) is None:
            raise UserError(
                f"${{hydra:{name}}} is not known before a run starts; "
                "name what it is made of, such as ${method} or ${seed}"
            )
    known = HydraConfig.instance()
    outer = known.cfg
    known.set_config(composed)
    try:
        yield
    finally:
        known.cfg = outer


def _find_shared_settings(settings: DictConfig) -> list[Any]:
    return [OmegaConf.to_container(settings[name], resolve=False) for name in _FOR_ALL_RUNS]


@lru_cache(1024)  # bounded: a notebook may plan without end
def _parse(override: str) -> Override:
    """One ``key=value``, typed as Hydra types it."""
    return OverridesParser.create().parse_overrides([override])[0]

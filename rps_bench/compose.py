"""Composing many runs that differ little: Hydra takes 75 ms for one, a sweep has thousands.

Runs that differ in compression and seed only share one composition, into which those two values
are put, unless some value is computed from them.
"""

from functools import lru_cache
from typing import Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

CONFIG_NAME = "config"
VARYING = ("compression", "seed")


class Composer:
    """Composes jobs within ``hydra.initialize_config_dir``."""

    def __init__(self) -> None:
        self._composed: dict[tuple[str, ...], dict[str, Any] | None] = {}

    def compose(self, job: list[str]) -> dict[str, Any]:
        """One job's overrides -> plain containers, interpolations resolved."""
        varying = {o.partition("=")[0]: o for o in job if o.partition("=")[0] in VARYING}
        rest = tuple(o for o in job if o.partition("=")[0] not in VARYING)
        if rest not in self._composed:
            self._composed[rest] = _compose_shared(rest)
        shared = self._composed[rest]
        parsed = {key: _parse(override) for key, override in varying.items()}
        if shared is None or any(override.is_sweep_override() for override in parsed.values()):
            return _compose(job)  # a list outside a sweep: Hydra says what is wrong
        return shared | {key: override.value() for key, override in parsed.items()}


def _compose_shared(rest: tuple[str, ...]) -> dict[str, Any] | None:
    """The composition without the varying values; None where another value depends on them."""
    composed = compose(CONFIG_NAME, list(rest))
    text = OmegaConf.to_yaml(composed, resolve=False)
    if any(f"{{{key}}}" in text for key in VARYING):
        return None
    return _resolve(composed)


def _compose(job: list[str]) -> dict[str, Any]:
    return _resolve(compose(CONFIG_NAME, job))


def _resolve(composed: Any) -> dict[str, Any]:
    table: Any = OmegaConf.to_container(composed, resolve=True)
    return dict(table)


@lru_cache(1024)  # bounded: a notebook may plan without end
def _parse(override: str) -> Override:
    """One ``key=value``, typed as Hydra types it."""
    return OverridesParser.create().parse_overrides([override])[0]

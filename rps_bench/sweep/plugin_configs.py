"""The yaml files that plugins do not have, as Hydra looks for them: made from their classes."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from rps_bench.plugins.files import load_reference
from rps_bench.plugins.groups import GROUPS, names_of_plugins, registry_of
from rps_bench.plugins.installed import list_installed
from rps_bench.plugins.offers import provide
from rps_bench.plugins.options import list_options

SCHEME = "rps-bench-plugins"
VALIDATION_SHARE = 10  # of the training images: one in so many is held out


class PluginSource(ConfigSource):
    """A choice of ``method``, ``arch`` and ``dataset`` for everything that plugins offer.

    Its place is the list of their references: a worker that composes a job has it, and loads them.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        self.references: tuple[str, ...] = tuple(json.loads(unquote(self.path)))

    @staticmethod
    def scheme() -> str:
        """The beginning of such a place."""
        return SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        """The table of one choice; an installed package is imported for it."""
        group, name = _split(config_path)
        provide(group, name)
        config = OmegaConf.create(_make_table(group, name))
        return ConfigResult(self.provider, self.full_path(), config, {"package": None})

    def available(self) -> bool:
        """Always: what is missing was said when the plugins were loaded."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether plugins offer something of the group."""
        return config_path in GROUPS and bool(self._names(config_path))

    def is_config(self, config_path: str) -> bool:
        """Whether a plugin offers this choice."""
        group, name = _split(config_path)
        return group in GROUPS and name in self._names(group)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The choices of a group."""
        return [] if results_filter is ObjectType.GROUP else [*self._names(config_path)]

    def _names(self, group: str) -> Sequence[str]:
        for reference in self.references:
            load_reference(reference)
        installed = [name for kind, name in list_installed() if kind == group]
        return sorted({*names_of_plugins(group), *installed})


def plugin_source(references: tuple[str, ...]) -> tuple[str, ...]:
    """The place of the plugins' choices as Hydra takes it; none where there are no plugins."""
    if not references and not list_installed():
        return ()
    Plugins.instance()  # Hydra's own kinds of places come first
    SourcesRegistry.instance().register(PluginSource)
    return (f"{SCHEME}://{quote(json.dumps(references))}",)


def _split(config_path: str) -> tuple[str, str]:
    group, _, name = config_path.rpartition("/")
    return group, name.removesuffix(".yaml")


def _make_table(group: str, name: str) -> dict[str, Any]:
    """The values that a yaml of the package's own would hold."""
    offered = registry_of(group)[name]
    if group == "method":
        return {"name": name} | list_options(offered)
    if group == "arch":
        return {"name": name, "width": None}
    num_held_out = max(1, offered.num_train // VALIDATION_SHARE)
    values = {"validation_images": num_held_out, "imbalance": None, "image_size": None}
    return {"name": name} | values

"""What Hydra reads yaml files by, made so that nothing is copied or listed again and again.

Hydra copies its repository for every composition and every list of a group's choices, down to all
settings that were ever registered with it: a hundred times for one ``--help``. It copies so that
the copy can be given other places, which replaces its list of sources; the sources themselves only
read.
"""

from copy import copy
from typing import Any, Self

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType


class SharingRepository(ConfigRepository):
    """A repository for one command, during which no file comes or goes.

    Its deep copies read by the same sources, and know the same lists, until they are given others.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return copy(self)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Read from other places than before."""
        self._lists: dict[tuple[str, ObjectType | None], tuple[str, ...]] = {}
        super().initialize_sources(config_search_path)

    def get_group_options(
        self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG
    ) -> list[str]:
        """The choices of a group, or the groups within it."""
        key = (group_name, results_filter)
        if key not in self._lists:
            self._lists[key] = tuple(super().get_group_options(group_name, results_filter))
        return list(self._lists[key])


def make_loader(search_path: ConfigSearchPath) -> ConfigLoader:
    """Hydra's loader of the yaml files at these places."""
    loader = ConfigLoaderImpl(search_path)
    loader.repository = SharingRepository(search_path)
    return loader

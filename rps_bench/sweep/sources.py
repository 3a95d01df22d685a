"""Where the yaml files lie: the package's own folder, and places that a command line adds to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import hydra
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from rps_bench.core import checks
from rps_bench.core.conf_folder import config_folder
from rps_bench.core.errors import UserError
from rps_bench.sweep.repository import make_loader

SEARCH_PATH = "hydra.searchpath"  # the word that names more places
_FOLDER = "file://"

# In conf/config.yaml, for what Hydra makes itself of a folder that was typed.
OmegaConf.register_new_resolver("path", partial(checks.path, "results_dir"), replace=True)


def hydra_version_base() -> dict[str, str]:
    """Hydra 1.3 asks for ``version_base``, later versions warn about it."""
    return {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}


def find_sources(config_dir: str | None, words: Sequence[Override]) -> tuple[str, ...]:
    """The places that a command line adds: of ``--config-dir``, then of ``hydra.searchpath``.

    Raises:
        UserError: A folder that is not there, or no list of places.
    """
    sources = [] if config_dir is None else [config_dir]
    for word in words:
        if word.get_key_element() == SEARCH_PATH:
            places = word.value()
            if not isinstance(places, list) or not all(isinstance(p, str) for p in places):
                raise UserError(f"{SEARCH_PATH} must be a list such as [file:///folder]")
            sources += places
    return tuple(_locate(source) for source in sources)


def _locate(source: str) -> str:
    """The place as Hydra writes it, of a folder the whole path: workers may start elsewhere."""
    if "://" in source and not source.startswith(_FOLDER):
        return source
    folder = Path(checks.path("--config-dir", source.removeprefix(_FOLDER))).absolute()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} with yaml files")
    return f"{_FOLDER}{folder}"


@contextmanager
def opened_hydra(sources: Sequence[str]) -> Iterator[Hydra]:
    """Hydra, ready to compose from the package's yaml files and, after them, these places."""
    for base in hydra_version_base().values():
        version.setbase(base)
    search_path = create_config_search_path(str(config_folder()))
    for source in sources:
        search_path.prepend("command-line", source, SearchPathQuery(provider="schema"))
    running = GlobalHydra.instance()
    outer = running.hydra
    running.clear()
    try:
        app = Hydra("rps_bench", make_loader(search_path))
        running.initialize(app)
        yield app
    finally:
        running.clear()
        if outer is not None:
            running.initialize(outer)

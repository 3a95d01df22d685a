"""The plugins that a command line names, itself or in its experiments, before Hydra composes."""

import json
from collections.abc import Iterator, Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from rps_bench.core.errors import UserError
from rps_bench.plugins import load_plugins
from rps_bench.plugins.references import KEY, read_references
from rps_bench.sweep.expansion import EXPERIMENT, list_words, parse
from rps_bench.sweep.hydra_errors import explained
from rps_bench.sweep.plugin_configs import plugin_source
from rps_bench.sweep.sources import opened_hydra


def add_plugins(
    overrides: Sequence[str], words: Sequence[Override], sources: tuple[str, ...]
) -> tuple[Sequence[str], tuple[str, ...]]:
    """Load the plugins of a command line; its words and places of yaml files, with theirs."""
    with explained():
        references = find_plugins(overrides, words, sources)
        load_plugins(references)
        return with_plugins(overrides, references), (*sources, *plugin_source(references))


def find_plugins(
    overrides: Sequence[str], words: Sequence[Override], sources: Sequence[str]
) -> tuple[str, ...]:
    """The plugins of a command line; of its experiments' files where it names none itself.

    Args:
        overrides: The ``key=value`` words.
        words: The same as Hydra reads them.
        sources: Places of yaml files beside the package's own.

    Raises:
        UserError: Not one list of files that are there and modules.
    """
    given = [word for word in words if _is_of_plugins(word)]
    for word in given:
        if word.is_sweep_override() or word.key_or_group != KEY:
            one = f"{KEY}=[a.py,b.py]"
            raise UserError(f"{word.input_line}: plugins are one list for all runs, such as {one}")
    if given:
        return read_references(given[-1].value())
    if not any(word.key_or_group == EXPERIMENT for word in words):
        return ()
    with opened_hydra(sources) as app:
        found = list(_of_experiments(overrides, app.config_loader))
    return tuple(dict.fromkeys(reference for own in found for reference in own))


def with_plugins(overrides: Sequence[str], references: Sequence[str]) -> list[str]:
    """The words with one that names these plugins by their whole paths, for all runs."""
    if not references:
        return list(overrides)
    listed = ",".join(json.dumps(reference, ensure_ascii=False) for reference in references)
    others = [word for word in overrides if word.lstrip("+").partition("=")[0] != KEY]
    return [*others, f"{KEY}=[{listed}]"]


def _is_of_plugins(word: Override) -> bool:
    return word.key_or_group.partition(".")[0] == KEY and not word.is_delete()


def _of_experiments(overrides: Sequence[str], loader: ConfigLoader) -> Iterator[tuple[str, ...]]:
    """The plugins of each experiment that is chosen."""
    for word in parse(overrides, loader):
        if word.key_or_group != EXPERIMENT or word.is_delete():
            continue
        for choice in parse(list_words(word, loader)):
            yield from _of_file(f"{EXPERIMENT}/{choice.value()}", loader, set())


def _of_file(path: str, loader: ConfigLoader, seen: set[str]) -> Iterator[tuple[str, ...]]:
    """The plugins that one experiment's file names, and those that it builds upon."""
    repository = loader.repository  # type: ignore[attr-defined]
    found = None if path in seen else repository.load_config(path)
    seen.add(path)
    if found is None or not isinstance(found.config, DictConfig):
        return  # Hydra says what may be chosen
    for default in found.defaults_list or ():
        other = getattr(default, "path", None)
        if isinstance(other, str) and other != "_self_":
            place = other[1:] if other.startswith("/") else f"{EXPERIMENT}/{other}"
            yield from _of_file(place, loader, seen)
    if KEY in found.config:
        value = OmegaConf.select(found.config, KEY)
        yield read_references(OmegaConf.to_container(value) if OmegaConf.is_list(value) else value)

"""From the words of a command line to the words of every run of its sweep.

The rules are those of Hydra's basic sweeper, with two differences. An experiment file may bring a
sweep of its own, so several experiments are expanded one by one, each with its own. And a range
holds the values that its decimal numbers say, 0.1, 0.2 and 0.3 for ``range(0.1,0.4,0.1)``.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from hydra import compose
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, ValueType
from hydra.types import RunMode
from omegaconf import DictConfig

from rps_bench.core.errors import UserError
from rps_bench.sweep.compose import CONFIG_NAME
from rps_bench.sweep.hydra_words import PARAMS, SEARCH_PATH, is_of_hydra

LARGEST_SWEEP = 100_000  # runs, which are all composed and checked before the first
EXPERIMENT = "experiment"  # the group whose files may be sweeps


@dataclass(frozen=True)
class Expansion:
    """The runs of one experiment, or of a command line that chooses no more than one.

    Attributes:
        settings: Hydra's own.
        is_sweep: Whether ``-m`` was given, or an experiment file makes it a sweep.
        hydra_words: Those words that are Hydra's own, which all jobs have in common.
        plain: The other words that all jobs have in common.
        jobs: The words of every run, without Hydra's own.
    """

    settings: DictConfig
    is_sweep: bool
    hydra_words: tuple[str, ...]
    plain: tuple[str, ...]
    jobs: Sequence[tuple[str, ...]]


def parse(words: Sequence[str], loader: ConfigLoader | None = None) -> list[Override]:
    """The words as Hydra reads them, ranges as lists of their values.

    Args:
        words: ``key=value`` words.
        loader: Knows what a glob may choose among.
    """
    parser = OverridesParser.create(loader)
    parser.functions.functions["range"] = list_range
    return parser.parse_overrides([_reword(word) for word in words])


def expand(words: Sequence[Override], loader: ConfigLoader, is_sweep: bool) -> list[Expansion]:
    """All runs of a command line, within ``opened_hydra``.

    Raises:
        UserError: Lists that give no run, or more than there can be.
    """
    expansions = list(_expand(words, loader, is_sweep))
    _check_size(sum(len(expansion.jobs) for expansion in expansions))
    return expansions


def list_range(start: float, stop: float | None = None, step: float = 1) -> ChoiceSweep:
    """The numbers from ``start`` on (from 0 where only ``stop`` is given) before ``stop``."""
    if stop is None:
        start, stop = 0, start
    if step == 0 or not all(map(math.isfinite, (start, stop, step))):
        raise UserError(f"range({start},{stop},{step}) never ends")
    if all(isinstance(number, int) for number in (start, stop, step)):
        numbers = range(int(start), int(stop), int(step))
        _check_size(len(numbers))
        return ChoiceSweep(list=list(numbers))
    first, end, stride = (Decimal(str(number)) for number in (start, stop, step))
    count = max(0, math.ceil((end - first) / stride))
    _check_size(count)
    return ChoiceSweep(list=[float(first + stride * index) for index in range(count)])


def _reword(word: str) -> str:
    """The word for what Hydra wants typed in another way."""
    if word == f"{EXPERIMENT}=null":
        return f"~{EXPERIMENT}"
    # The sweep of an experiment file is a table that may gain keys, with or without a plus.
    return f"++{word}" if word.startswith(PARAMS) else word


def _expand(words: Sequence[Override], loader: ConfigLoader, is_sweep: bool) -> Iterator[Expansion]:
    """One expansion for each choice of an experiment."""
    _check_choices(words, loader)
    of_hydra = [word for word in words if is_of_hydra(word)]
    own = [word for word in words if not is_of_hydra(word)]
    hydra_words = _lines(word for word in of_hydra if word.key_or_group != SEARCH_PATH)
    plain = _lines(word for word in own if not word.is_sweep_override())
    settings = compose(CONFIG_NAME, [*hydra_words, *plain], return_hydra_config=True).hydra
    if not is_sweep and settings.mode != RunMode.MULTIRUN:
        yield Expansion(settings, False, hydra_words, plain, [_lines(own)])
        return
    params = [f"{key}={value}" for key, value in (settings.sweeper.params or {}).items()]
    last = {word.get_key_element(): word for word in [*parse(params, loader), *own]}
    experiments = next(filter(_is_sweep_over_experiments, last.values()), None)
    if experiments is None:
        lists = [list_words(word, loader) for word in last.values()]
        _check_size(math.prod(map(len, lists)))
        yield Expansion(settings, True, hydra_words, plain, list(itertools.product(*lists)))
        return
    others = [word for word in own if word.get_key_element() != experiments.get_key_element()]
    for experiment in parse(list_words(experiments, loader)):
        yield from _expand([*of_hydra, experiment, *others], loader, is_sweep=True)


def _check_choices(words: Sequence[Override], loader: ConfigLoader) -> None:
    """Refuse ``null`` for a group, of which Hydra does not say where it stands."""
    for word in filter(_names_null, words):
        options = loader.get_group_options(word.key_or_group, ObjectType.CONFIG)
        if options and word.key_or_group != EXPERIMENT:
            raise UserError(f"{word.key_or_group} must be one of {', '.join(options)}, got null")


def _names_null(word: Override) -> bool:
    value = word.value()
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    return None in values and not word.is_delete()


def _is_sweep_over_experiments(word: Override) -> bool:
    return word.key_or_group == EXPERIMENT and word.is_sweep_override()


def list_words(word: Override, loader: ConfigLoader) -> list[str]:
    """One word for each value of a sweep; the word itself where it is none."""
    if not word.is_sweep_override():
        return list(_lines([word]))
    if word.is_interval_sweep():
        raise UserError(f"{word.input_line}: an interval has no end of values; list some of them")
    values = list(word.sweep_string_iterator())
    if not values and word.value_type is ValueType.GLOB_CHOICE_SWEEP:
        options = loader.get_group_options(word.key_or_group, ObjectType.CONFIG)
        known = f"it must match some of {', '.join(options)}" if options else "it is no group"
        raise UserError(f"{word.input_line} matches nothing; {known}")
    return [f"{word.get_key_element()}={value}" for value in values]


def _lines(words: Iterator[Override] | Sequence[Override]) -> tuple[str, ...]:
    return tuple(str(word.input_line) for word in words)


def _check_size(num_runs: int) -> None:
    """Refuse lists that give no run, or more than there can be; before they are written out."""
    if not 0 < num_runs <= LARGEST_SWEEP:
        raise UserError(
            f"a sweep has 1 to {LARGEST_SWEEP} runs, these lists give {'more' if num_runs else 0}"
        )

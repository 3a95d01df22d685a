"""Hydra's answers come with few copies and lists, and are word for word its own."""

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import pytest
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.types import RunMode

from rps_bench.core.conf_folder import config_folder
from rps_bench.sweep.command_line import parse_words
from rps_bench.sweep.compose import CONFIG_NAME
from rps_bench.sweep.information import inform
from rps_bench.sweep.repository import SharingRepository
from rps_bench.sweep.sources import opened_hydra


@pytest.fixture
def places(tmp_path: Path) -> str:
    """A folder with a group of its own, one group within another, and one more dataset."""
    for name in ("dataset/mine", "own/x", "own/deep/y"):
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("# @package _global_\nseed: 3\n")
    return str(tmp_path)


def search_path(places: Sequence[str]) -> ConfigSearchPath:
    path = create_config_search_path(str(config_folder()))
    for place in places:
        path.prepend("command-line", f"file://{place}", SearchPathQuery(provider="schema"))
    return path


LINES = [
    "--help",
    "dataset=cifar10 --help",
    "--help method=ltr compression=7 --resolve",
    "--hydra-help",
    "PLACES --help",
    "PLACES +own=x --help",
    "PLACES --hydra-help",
]


@pytest.mark.parametrize("line", LINES)
def test_help_is_what_hydra_prints(
    line: str, places: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = line.replace("PLACES", f"--config-dir {places}").split()
    inform(parse_words(words))
    own = capsys.readouterr().out
    arguments = parse_words(words)
    try:
        app = Hydra.create_main_hydra2("rps_bench", search_path([places] * ("PLACES" in line)))
        (app.app_help if arguments.help else app.hydra_help)(
            CONFIG_NAME, get_args_parser(), arguments
        )
    finally:
        GlobalHydra.instance().clear()
    assert own == capsys.readouterr().out
    assert ("own/deep: y" in own) == ("PLACES" in line and not arguments.hydra_help)


@pytest.mark.parametrize("line", LINES)
def test_help_lists_each_group_once(
    line: str, places: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: Counter[tuple[str, ObjectType | None]] = Counter()
    copies: list[SharingRepository] = []
    list_group, copy = ConfigRepository.get_group_options, SharingRepository.__deepcopy__

    def count_list(
        self: ConfigRepository,
        group_name: str,
        results_filter: ObjectType | None = ObjectType.CONFIG,
    ) -> list[str]:
        assert isinstance(self, SharingRepository)
        listed[group_name, results_filter] += 1
        return list_group(self, group_name, results_filter)

    def count_copy(self: SharingRepository, memo: dict[int, object]) -> SharingRepository:
        copies.append(copy(self, memo))
        return copies[-1]

    monkeypatch.setattr(ConfigRepository, "get_group_options", count_list)
    monkeypatch.setattr(SharingRepository, "__deepcopy__", count_copy)
    inform(parse_words(line.replace("PLACES", f"--config-dir {places}").split()))
    assert ("method", ObjectType.CONFIG) in listed
    assert set(listed.values()) == {1}
    first = copies[0].sources
    assert all(own is each for own, each in zip(first, copies[-1].sources, strict=True))


def test_a_copy_given_other_places_leaves_the_first_its_own(places: str) -> None:
    repository = SharingRepository(search_path([]))
    copied = deepcopy(repository)
    assert all(a is b for a, b in zip(repository.sources, copied.sources, strict=True))
    copied.initialize_sources(search_path([places]))
    assert "mine" in copied.get_group_options("dataset")
    assert "mine" not in repository.get_group_options("dataset")


def test_a_search_path_among_the_words_is_listed(places: str) -> None:
    with opened_hydra([]) as app:
        loader = app.config_loader
        before = loader.get_group_options("dataset")
        words = [f"hydra.searchpath=[file://{places}]"]
        assert {*loader.get_group_options("dataset", overrides=words)} == {*before, "mine"}
        assert loader.get_group_options("dataset") == before


def test_a_list_of_choices_is_the_callers_own() -> None:
    with opened_hydra([]) as app:
        before = app.config_loader.get_group_options("arch")
        app.config_loader.get_group_options("arch").clear()
        assert app.config_loader.get_group_options("arch") == before != []


def test_compositions_change_nothing_for_each_other() -> None:
    with opened_hydra([]) as app:
        loader = app.config_loader
        first = app.compose_config(CONFIG_NAME, ["seed=1"], RunMode.RUN)
        first.hydra.launcher = {"changed": True}
        second = app.compose_config(CONFIG_NAME, ["seed=1"], RunMode.RUN)
        assert "changed" not in second.hydra.launcher
        assert loader.get_group_options("hydra/launcher")

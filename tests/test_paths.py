"""A ``~`` that a shell left alone is the home of whoever typed it, in every word that is a path."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rps_bench.config import RunConfig
from rps_bench.core import checks
from rps_bench.core.arguments import to_path
from rps_bench.core.cache_folder import user_cache_folder
from rps_bench.core.errors import UserError
from rps_bench.datasets.folders import resolve_root
from rps_bench.export import read_words
from rps_bench.inference.options import read_options
from rps_bench.sweep.planning import plan_runs
from rps_bench.tracking import build_tracker
from tests.conftest import Command

QUOTED = "'~/here'"  # as Hydra reads a text


def planned(*words: str) -> RunConfig:
    (config,) = plan_runs(words, False).configs
    return config


WAYS: dict[str, Callable[[], object]] = {
    "results_dir": lambda: planned(f"results_dir={QUOTED}").files.results_dir,
    "data_root": lambda: planned(f"data_root={QUOTED}").files.data_root,
    "tracking.dir": lambda: vars(build_tracker("wandb", dir="~/here"))["dir"],
    "export results_dir": lambda: read_words(["run_id=x", "results_dir=~/here"]).results_dir,
    "export to": lambda: read_words(["run_id=x", "to=~/here"]).path,
    "inference": lambda: read_options(["results_dir=~/here"]).results_dir,
    "reports, studies, tracking": lambda: to_path("~/here"),
    "RPS_BENCH_DATA": lambda: resolve_root(None),
    "RPS_BENCH_DATA in a run": lambda: planned().files.data_root,
    "XDG_CACHE_HOME": lambda: user_cache_folder().parent,
}


@pytest.mark.parametrize("what", WAYS)
def test_home_is_meant(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RPS_BENCH_DATA", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "~/here")
    assert str(WAYS[what]()) == str(tmp_path / "here")


def test_homes_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.path("results_dir", "~root/x") != "~root/x"
    with pytest.raises(UserError, match=r"nobody's home; type \./~nobodyatall/x"):
        checks.path("results_dir", "~nobodyatall/x")
    monkeypatch.setenv("RPS_BENCH_DATA", "~nobodyatall/x")
    with pytest.raises(UserError, match="RPS_BENCH_DATA is '~nobodyatall/x'"):
        resolve_root(None)


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPS_BENCH_DATA", "")
    assert planned().files.data_root is None


@pytest.mark.parametrize("word", ["results_dir=~/here", f"results_dir={QUOTED}"])
def test_no_folder_is_called_so(
    word: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    tiny = ("recipe=smoke", "recipe.max_steps_per_epoch=1", "arch.width=2", "device=cpu")
    assert command("-m", *tiny, word) == 0
    assert len(list((tmp_path / "home" / "here" / "records").rglob("*.json"))) == 1
    assert not (tmp_path / "~").exists()


def test_run_ids_know_no_folder() -> None:
    assert planned(f"results_dir={QUOTED}", f"data_root={QUOTED}").run_id == planned().run_id

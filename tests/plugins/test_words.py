"""Plugins in the words of a command line and in experiments' files, and in workers elsewhere."""

from pathlib import Path

import pytest

from rps_bench.sweep.planning import plan_runs
from tests.conftest import Command
from tests.plugins.conftest import TINY
from tests.plugins.test_sweep import configs_of

EXPERIMENT = """
# @package _global_
plugins: [my_methods.py]
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      method: power,modulo
      compression: 2,4
"""


@pytest.fixture
def experiments(tmp_path: Path, my_methods: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with experiments; the command starts beside ``my_methods.py``."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(EXPERIMENT.strip())
    upon = "# @package _global_\ndefaults:\n  - own\n  - _self_\nseed: 3\n"
    (folder / "upon.yaml").write_text(upon)
    return str(folder.parent)


@pytest.mark.parametrize(
    ("words", "is_sweep", "methods"),
    [
        (["experiment=own"], False, ["power", "power", "modulo", "modulo"]),
        (["experiment=upon"], False, ["power", "power", "modulo", "modulo"]),
        (["experiment=own,demo", "seed=1"], True, ["power", "power", "modulo", "modulo"]),
        (["experiment=glob(ow*)"], True, ["power", "power", "modulo", "modulo"]),
        (["experiment=own", "plugins=[my_methods.py]", "method=power"], False, ["power", "power"]),
        (["plugins=['./my_methods.py']", "method=power"], False, ["power"]),
        (["++plugins=[my_methods.py,my_methods.py]", "method=power"], False, ["power"]),
        (["plugins=[my_methods]", "method=power"], False, ["power"]),
        (["plugins=[my_methods.py]", "-m", "method=glob(po*)"], True, ["power"]),
    ],
)
def test_where_plugins_may_be_named(
    experiments: str,
    words: list[str],
    is_sweep: bool,
    methods: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(Path.cwd()))
    plan = plan_runs([word for word in words if word != "-m"], is_sweep, experiments)
    assert [config.method for config in plan.configs][: len(methods)] == methods


def test_a_worker_elsewhere_finds_the_file(
    experiments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (["experiment=own"], ["plugins=[my_methods.py]", "method=power,modulo"]):
        plan = plan_runs(words, True, experiments)
        place = f'plugins=["{tmp_path / "my_methods.py"}"]'
        assert all(place in run.overrides for run in plan.runs)
        assert place in plan.launching.plain


def test_processes_that_share_a_sweep_load_them(
    command: Command, my_methods: Path, tmp_path: Path
) -> None:
    words = ("plugins=[my_methods.py]", "dataset=stripes", "arch=shallow", "method=power,modulo")
    assert command("-m", "processes=2", *words, *TINY, "compression=2") == 0
    found = configs_of(tmp_path / "results")
    assert {config["method"] for config in found} == {"power", "modulo"}
    assert all(config["plugins"].keys() == {"method", "arch", "dataset"} for config in found)


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (["--help"], "mag_trained, modulo, power, rand"),
        (["--cfg", "job"], "exponent: 2.0"),
        (["--info", "defaults"], "method/power"),
    ],
)
def test_information_knows_them(
    command: Command,
    my_methods: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    shown: str,
) -> None:
    assert command(*flags, "plugins=[my_methods.py]", "method=power") == 0
    assert shown in capsys.readouterr().out

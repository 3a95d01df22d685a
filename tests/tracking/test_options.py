"""The door: names, options, the yaml files, and who imports what."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from rps_bench.core.errors import UserError
from rps_bench.tracking import TRACKERS, TrackedProgress, build_tracker, default_options
from tests.tracking.conftest import epoch, require

CONF = Path(__file__).resolve().parents[2] / "conf" / "tracking"


@pytest.mark.parametrize("name", TRACKERS)
def test_a_trackers_yaml_holds_the_defaults_of_its_class(name: str) -> None:
    table: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"), resolve=True)
    assert table.pop("name") == name
    defaults = default_options(name)
    assert table == {key: list(v) if isinstance(v, tuple) else v for key, v in defaults.items()}
    assert {path.stem for path in CONF.glob("*.yaml")} == set(TRACKERS)


@pytest.mark.parametrize("name", TRACKERS)
def test_every_default_has_its_comment(name: str) -> None:
    text = (CONF / f"{name}.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith(("#", "name:"))]
    assert len(lines) == len(default_options(name))
    assert all(" # " in line for line in lines)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mlflow", {}, "tracking must be one of none, wandb, trackio, got mlflow"),
        ("wandb", {"proyect": "x"}, "unknown key tracking.proyect; allowed: tracking.project"),
        ("trackio", {"proyect": "x"}, "unknown key tracking.proyect; allowed: tracking.project"),
        ("trackio", {"project": "my.model"}, "tracking.project must consist of letters, digits"),
        ("trackio", {"project": "x_system"}, "tracking.project must not begin with registry- or"),
        ("trackio", {"group": ""}, "tracking.group must be a non-empty text"),
        ("none", {"project": "x"}, "unknown key tracking.project; allowed: none"),
        ("wandb", {"project": "a/b"}, "tracking.project must have none of"),
        ("wandb", {"project": ""}, "tracking.project must be a non-empty text"),
        ("wandb", {"project": "x" * 121}, "tracking.project must have at most 120 characters"),
        ("wandb", {"mode": "on"}, "tracking.mode must be one of online, offline, got on"),
        ("wandb", {"tags": "a"}, "tracking.tags must be a list such as"),
        ("wandb", {"tags": ["x" * 65]}, "tracking.tags must have at most 64 characters"),
        ("wandb", {"tags": [1]}, "tracking.tags must be a non-empty text"),
        ("wandb", {"group": ""}, "tracking.group must be a non-empty text"),
        ("wandb", {"dir": 3}, "tracking.dir must be a non-empty text"),
        ("wandb", {"entity": ""}, "tracking.entity must be a non-empty text"),
    ],
)
def test_bad_values_end_in_one_line(name: str, options: dict[str, Any], message: str) -> None:
    require(name)
    with pytest.raises(UserError) as caught:
        build_tracker(name, **options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


class Heard:
    """Writes down what it hears, as progress and as tracker."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *values: self.calls.append((name, *values))


def test_epochs_reach_the_tracker_with_their_level() -> None:
    shown, tracker = Heard(), Heard()
    progress = TrackedProgress(shown, tracker)  # type: ignore[arg-type]
    progress.show_epoch(epoch(1))
    progress.show_level(3, 5, 100)
    progress.show_step(1, 2)
    progress.show_epoch(epoch(2))
    assert tracker.calls == [("log_epoch", 0, epoch(1)), ("log_epoch", 3, epoch(2))]
    assert shown.calls == [
        ("show_epoch", epoch(1)), ("show_level", 3, 5, 100), ("show_step", 1, 2),
        ("show_epoch", epoch(2)),
    ]  # fmt: skip


def test_trackio_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rps_bench.tracking.trackio.environment.find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        build_tracker("trackio")
    words = "tracking=trackio needs trackio: pip install 'rps_bench[trackio]'"
    assert str(caught.value) == words


def test_the_door_imports_neither_torch_nor_a_dashboards_package() -> None:
    program = (
        "import sys; from rps_bench.tracking import TRACKERS, build_tracker;"
        "build_tracker('wandb'); TRACKERS['trackio'];"
        "import rps_bench.tracking.__main__, rps_bench.tracking.weights_and_biases.worker;"
        "import rps_bench.tracking.trackio.worker, rps_bench.tracking.trackio.dashboard;"
        "heavy = {'torch', 'wandb', 'trackio', 'huggingface_hub', 'pandas', 'matplotlib'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout == "[]\n"

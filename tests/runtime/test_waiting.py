"""Commands have their threads sleep soon, set before torch is there; a program keeps its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from rps_bench.runtime import waiting

OURS = str(waiting.NUM_SPINS)
# Ends the process as it starts to import torch, and says how threads would wait.
SPY = """
import os, sys
class Spy:
    def find_spec(self, name, *others):
        if name == "torch":
            print("torch:", os.environ.get("GOMP_SPINCOUNT"), os.environ.get("OMP_WAIT_POLICY"))
            sys.stdout.flush()
            os._exit(0)
sys.meta_path.insert(0, Spy())
"""
DOORS = {
    "rps_bench": "-m rps_bench recipe=smoke results_dir=results",
    "options before": "-W error -mrps_bench recipe=smoke results_dir=results",
    "sweep": "-m rps_bench -m method=dense,mag recipe=smoke results_dir=results",
    "studies": "-m rps_bench.studies load",
    "inference": "-m rps_bench.inference seconds=1",
    "export": "-m rps_bench.export run_id=a",
}


def waiting_at_torch(folder: Path, words: list[str], variables: Mapping[str, str]) -> str:
    """What a command's environment says as it imports torch."""
    (folder / "sitecustomize.py").write_text(SPY)
    environment = {key: value for key, value in os.environ.items() if key not in waiting.VARIABLES}
    environment |= {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path]), **variables}
    result = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "torch: " in result.stdout, result.stderr
    return result.stdout.split("torch: ")[1].strip()


@pytest.mark.parametrize("words", DOORS.values(), ids=DOORS)
def test_every_command_sets_it_before_torch(words: str, tmp_path: Path) -> None:
    assert waiting_at_torch(tmp_path, words.split(), {}) == f"{OURS} None"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"GOMP_SPINCOUNT": "300"}, "300 None"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE"),
        ({"KMP_BLOCKTIME": "0"}, "None None"),
    ],
)
def test_what_the_user_says_stays(variables: dict[str, str], said: str, tmp_path: Path) -> None:
    assert waiting_at_torch(tmp_path, DOORS["studies"].split(), variables) == said


def test_the_process_of_a_launcher_sets_it_too(tmp_path: Path) -> None:
    """Slurm may start it without the environment of the command."""
    program = (
        "from omegaconf import OmegaConf\n"
        "from rps_bench.launch import composed\n"
        "def freeze(composed): import torch\n"
        "composed.freeze_composed = freeze\n"
        "composed.run_composed(OmegaConf.create())"
    )
    assert waiting_at_torch(tmp_path, ["-c", program], {}) == f"{OURS} None"


@pytest.mark.parametrize(
    "program", ["import rps_bench.methods", "import rps_bench.__main__, torch", "import torch"]
)
def test_a_program_that_imports_the_package_keeps_its_own(program: str, tmp_path: Path) -> None:
    assert waiting_at_torch(tmp_path, ["-c", program], {}) == "None None"


@pytest.mark.parametrize(
    ("argv", "interpreter", "is_own"),
    [
        (["-m"], ["python", "-m", "rps_bench"], True),
        (["-m", "load", "-m"], ["python", "-I", "-W", "error", "-m", "rps_bench.studies"], True),
        (["-m", "load"], ["python", "-mrps_bench.studies"], True),
        (["-m", "rps_bench"], ["python", "-m", "pytest"], False),
        (["-m"], ["python", "-m", "rps_benchmark"], False),
        (["/usr/bin/rps-bench", "seed=1"], ["python", "/usr/bin/rps-bench"], True),
        (["rps-bench.exe"], ["rps-bench.exe"], True),
        (["train.py", "-m"], ["python", "train.py"], False),
        (["-c"], ["python", "-c", "import rps_bench"], False),
        ([""], ["python"], False),
        ([], ["host"], False),
    ],
)
def test_commands_of_the_package(argv: list[str], interpreter: list[str], is_own: bool) -> None:
    assert waiting.is_own_command(argv, [*interpreter, *argv[1:]]) is is_own


def test_where_torch_is_already_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in waiting.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert "torch" in sys.modules
    waiting.let_threads_sleep()
    assert waiting.stated_waiting(os.environ) == {}

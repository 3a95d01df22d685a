"""A home of its own for every test, made-up runs, and a reader of what wandb wrote."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rps_bench.tracking import RunDescription
from rps_bench.tracking.relay import worker_process
from rps_bench.training.state import EpochResult
from tests.patience import PATIENCE_SECONDS

CONFIG: dict[str, Any] = {
    "dataset": "digits",
    "arch": "resnet20",
    "method": "mag",
    "label": "mag",
    "compression": 10.0,
    "seed": 0,
    "recipe": "smoke",
    "evaluation_split": "test",
    "precision": "fp32",
    "device": "cpu",
    "dataset_options": {"num_train": 1437},
    "arch_options": {"width": None},
    "method_options": {"rounds": 1},
    "recipe_options": {"epochs": 4, "drops": [1, 2], "nesterov": False},
}
DASHBOARD = "rps_bench.reports.dashboard"
ACCURACIES = (20.0, 40.0, 60.0, 80.0)


def describe(folder: Path, **changes: Any) -> RunDescription:
    """A run whose settings differ from the usual by ``changes``."""
    config = CONFIG | changes
    run_id = (
        f"digits-resnet20-{config['method']}-{config['compression']:g}x-smoke-s{config['seed']}"
    )
    return RunDescription(run_id, config, str(folder))


def epoch(number: int) -> EpochResult:
    """Epoch 1 has accuracy 20, epoch 2 has 40, ..."""
    return EpochResult(number, 0.1, 1 / number, 2 / number, ACCURACIES[number - 1], 1.5)


def make_record(run: RunDescription, status: str = "completed", **cost: Any) -> dict[str, Any]:
    """The record of such a run."""
    split = run.config["evaluation_split"]
    metrics: dict[str, Any] = dict.fromkeys(
        ("test_accuracy", "best_test_accuracy", "test_loss", "train_loss")
    )
    if status == "completed":
        metrics |= {f"{split}_accuracy": 79.0, f"best_{split}_accuracy": 80.0, "train_loss": 0.25}
    return {
        "schema_version": 1,
        "run_id": run.run_id,
        "status": status,
        "reason": None if status == "completed" else "training loss not finite by step 3",
        "config": dict(run.config),
        "metrics": metrics,
        "history": [{"epoch": 1}],
        "size": {
            "dense_weights": 1000, "stored_weights": 100, "dense_total": 1100, "stored_total": 200,
            "true_compression": 5.5, "stored_bytes": 812,
        },
        "cost": {
            "train_seconds": 6.0, "images_per_second": 100.0, "peak_memory_bytes": None,
            "macs": 40_813_184, **cost,
        },
        "provenance": {"git_commit": "0123abc", "versions": {"hydra-core": "1.3.8"}},
    }  # fmt: skip


def require(name: str) -> None:
    """Skip the test of a tracker whose package, an extra, is not installed."""
    if name == "trackio" and find_spec("trackio") is None:
        pytest.skip("trackio is not installed")


class WandbFolder:
    """Reads the offline runs of a results folder through wandb's own program."""

    def __init__(self, results_dir: Path) -> None:
        self.path = results_dir / "wandb"

    def runs(self, name: str = "run") -> list[Path]:
        """Files of the offline runs whose id holds ``name``, by start."""
        return sorted(self.path.glob(f"offline-*{name}*/run-*.wandb"))

    def summary(self, run: Path) -> dict[str, Any]:
        """State, settings and final numbers."""
        summary: dict[str, Any] = json.loads(_inspect(run, "--summary"))
        return summary

    def messages(self, run: Path, kind: str) -> list[dict[str, Any]]:
        """Everything of one kind that was written, in order."""
        rows = [json.loads(line) for line in _inspect(run).splitlines()]
        return [row[kind] for row in rows if row["type"] == kind]

    def history(self, run: Path) -> list[dict[str, Any]]:
        """The rows of the curves, without wandb's own keys."""
        items = [message["item"] for message in self.messages(run, "history")]
        return [{k: v for k, v in item.items() if not k.startswith("_")} for item in items]


def _inspect(run: Path, *flags: str) -> str:
    """``wandb leet inspect --json``, without the seconds that its Python part takes to start."""
    spec = find_spec("wandb")
    assert spec is not None
    assert spec.origin is not None
    core = Path(spec.origin).parent / "bin" / "wandb-core"
    command = [str(core), "leet", "inspect", "--no-observability", "--json", *flags]
    command += ["--run-file", str(run), str(run.parent.parent)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(autouse=True, scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home without a login, where wandb must leave nothing; none of the user's variables.

    It lasts as long as the process, so that tests of other rooms may leave caches of theirs there.
    """
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        foreign = ("WANDB_", "TRACKIO_", "HF_", "XDG_")
        for name in [name for name in os.environ if name.startswith(foreign)]:
            patch.delenv(name)
        patch.delenv("NETRC", raising=False)
        patch.setenv("HOME", str(home))
        patch.setenv("OMP_NUM_THREADS", "1")
        # No worker outlives its test.
        patch.setattr(worker_process, "LEAVE_SECONDS", PATIENCE_SECONDS)
        yield home
    ours = ("wandb", "netrc", "trackio", "huggingface")
    assert [path for path in home.rglob("*") if any(word in str(path) for word in ours)] == []


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login for a server that nobody runs."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)


Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def command_line(module: str, folder: Path) -> Cli:
    """``python -m MODULE WORDS`` in a folder."""

    def call(*words: str | Path) -> "subprocess.CompletedProcess[str]":
        root = str(Path(__file__).resolve().parents[2])
        return subprocess.run(
            [sys.executable, "-W", "error::FutureWarning", "-m", module, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": root},
        )

    return call


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line in an empty folder."""
    return command_line("rps_bench.tracking", tmp_path)

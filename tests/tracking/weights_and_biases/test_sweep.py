"""The example of a W&B sweep, driven by wandb's own agent."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from rps_bench.records import read_records
from rps_bench.sweep.command_line import parse_words
from rps_bench.sweep.planning import plan_runs
from tests.tracking.weights_and_biases.fake_server import serve

ROOT = Path(__file__).resolve().parents[3]
SWEEP = ROOT / "scripts" / "wandb_sweep.yaml"


def test_every_choice_of_the_example_is_one_run() -> None:
    """All values at once are as many runs as the sweep's grid, each of them valid."""
    sweep: Any = OmegaConf.to_container(OmegaConf.load(SWEEP))
    choices = {key: p.get("values") or [p["value"]] for key, p in sweep["parameters"].items()}
    words = [f"{key}={','.join(map(str, values))}" for key, values in choices.items()]
    arguments = parse_words(["-m", "tracking=wandb", *words])
    assert len(plan_runs(arguments.overrides, arguments.multirun).configs) == 8


@pytest.mark.slow
def test_an_agent_drives_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small one; the agent sets its id, its sweep, its folder and a file of its choices."""
    choices = {"method": "mag", "compression": 10, "recipe.lr": 0.05, "recipe": "smoke",
               "arch.width": 4, "dataset": "digits"}  # fmt: skip
    command = {
        "type": "run", "run_id": "chosen", "program": "rps_bench",
        "args": {key: {"value": value} for key, value in choices.items()},
    }  # fmt: skip
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with serve() as server:
        server.sweep, server.commands = SWEEP.read_text(), [command]
        for name, value in {"BASE_URL": server.url, "API_KEY": "a" * 40}.items():
            monkeypatch.setenv(f"WANDB_{name}", value)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "wandb", "agent", "me/p/sweep1"],
            capture_output=True, text=True, check=False, cwd=tmp_path,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        )  # fmt: skip
    said = done.stdout + done.stderr
    assert "rps_bench: W&B" not in said
    (record,), _ = read_records(tmp_path / "results")
    assert (record["config"]["method"], record["status"]) == ("mag", "completed")
    (opened, *_) = server.asked("UpsertBucket")
    assert (opened["name"], opened["sweep"], opened["project"]) == ("chosen", "sweep1", "p")
    assert json.loads(opened["config"])["recipe.lr"] == {"value": 0.05}
    assert [row["epoch"] for row in server.rows] == [1, 2]
    assert (server.summary["status"], server.exit_codes) == ("completed", [0])
    assert "a" * 40 not in said

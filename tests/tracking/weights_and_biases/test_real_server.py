"""The whole way to a server that is not ours: online, killed, interrupted by an outage, sent later.

`make test-wandb` runs these tests against openwandb, a W&B-compatible server that is installed into
an environment of its own. What it holds is read by SQL from its file.
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

import pytest

from rps_bench.records import read_records
from tests.alike import TINY
from tests.patience import PATIENCE_SECONDS, wait_until
from tests.tracking.conftest import DASHBOARD, command_line

ROOT = Path(__file__).resolve().parents[3]
KEY = "local" + 40 * "0"  # of the administrator that openwandb makes by itself
NUM_EPOCHS = 60
LONG = (
    "method=mag",
    "compression=2",
    f"recipe.epochs={NUM_EPOCHS}",
    "recipe.max_steps_per_epoch=8",
)
pytestmark = pytest.mark.wandb_server


@dataclass
class Seen:
    """A run as the server has it."""

    state: str
    config: dict[str, Any]
    summary: dict[str, Any]
    rows: dict[int, dict[str, float]] = field(default_factory=dict)  # of the curve, by step


class Server:
    """openwandb in a folder; it can be stopped and started again."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self._program = folder, program
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--data-dir", str(self.folder)]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [self._program, "serve", *where],
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": str(self.folder)},
            )
        wait_until(self._answers, "the server")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            with urlopen(self.url) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def read(self) -> dict[str, Seen]:
        """All runs by the id of their record; others by the server's own id."""
        with closing(sqlite3.connect(self.folder / "openwandb.db")) as file:
            runs = {
                run_id: Seen(state, read_config(config), json.loads(summary))
                for run_id, state, config, summary in file.execute(
                    "SELECT run_id, state, config_json, summary_json FROM runs"
                )
            }
            query = "SELECT run_id, step, key, value FROM metrics ORDER BY id"
            for run_id, step, key, value in file.execute(query):
                runs[run_id].rows.setdefault(step, {})[key] = value
        return {seen.config.get("run_id", run_id): seen for run_id, seen in runs.items()}


def read_config(text: str) -> dict[str, Any]:
    return {key: entry["value"] for key, entry in json.loads(text).items() if "value" in entry}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    program = os.environ.get("RPS_BENCH_WANDB_SERVER")
    if program is None:
        pytest.skip("needs a server of another project, asked for by name: make test-wandb")
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(program, folder)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    yield server
    server.stop()


class Command:
    """``python -m rps_bench`` with tracking in a folder; a context that leaves no process."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._log = folder / "said"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rps_bench", "tracking=wandb", *TINY, *words],
                cwd=folder,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def said(self) -> str:
        """All that it wrote so far."""
        return self._log.read_text()

    def end(self) -> tuple[int, str]:
        """Its exit status and what it said."""
        return self.process.wait(PATIENCE_SECONDS), self.said


def complete(folder: Path, *words: str) -> None:
    """A command that ends well and says nothing of W&B."""
    with Command(folder, *words) as command:
        status, said = command.end()
    assert (status, "W&B" in said) == (0, False), said


def require_alike(server: Server, folder: Path) -> None:
    """Every record is on the server: settings, outcome, and each epoch once."""
    seen = server.read()
    records, _ = read_records(folder / "results")
    assert records
    for record in records:
        shown = seen[record["run_id"]]
        assert shown.state == "finished"
        assert shown.summary["status"] == record["status"]
        assert shown.config["compression"] == record["config"]["compression"]
        assert shown.config["recipe_lr"] == record["config"]["recipe_options"]["lr"]
        assert shown.summary.get("accuracy") == record["metrics"]["test_accuracy"]
        assert shown.summary["stored_bytes"] == record["size"]["stored_bytes"]
        told = [(row["epoch"], row["test_accuracy"]) for row in shown.rows.values()]
        assert told == [(e["epoch"], e["test_accuracy"]) for e in record["history"]]


def test_a_sweep_goes_online(server: Server, tmp_path: Path) -> None:
    """One of its runs diverges; two processes write at once."""
    words = ("method=mag,rand", "compression=2", "recipe.lr=0.1,1e30", "processes=2")
    complete(tmp_path, "-m", *words)
    assert len(read_records(tmp_path / "results")[0]) == 4
    require_alike(server, tmp_path)


def wait_for_some_epochs(server: Server) -> None:
    wait_until(lambda: any(len(seen.rows) > 2 for seen in server.read().values()), "some epochs")


def count_epochs(server: Server) -> int:
    """Of the only run."""
    (seen,) = server.read().values()
    return len(seen.rows)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_goes_on_as_one(number: int, server: Server, tmp_path: Path) -> None:
    with Command(tmp_path, *LONG) as command:
        wait_for_some_epochs(server)
        os.killpg(command.process.pid, number)
        assert command.end()[0] != 0
    assert 2 < count_epochs(server) < NUM_EPOCHS
    complete(tmp_path, *LONG)
    assert count_epochs(server) == NUM_EPOCHS
    require_alike(server, tmp_path)


def test_an_outage_costs_nothing(server: Server, tmp_path: Path) -> None:
    """The server is gone for some epochs; what was trained meanwhile arrives later."""
    with Command(tmp_path, *LONG) as command:
        wait_for_some_epochs(server)
        server.stop()
        num_seen = count_epochs(server)
        num_told = command.said.count("epoch ")
        wait_until(lambda: command.said.count("epoch ") > num_told + 1, "an epoch")
        assert count_epochs(server) == num_seen
        server.start()
        status, said = command.end()
    assert (status, "W&B" in said) == (0, False), said
    require_alike(server, tmp_path)


def test_offline_runs_and_the_report_are_sent(server: Server, tmp_path: Path) -> None:
    words = ("method=mag,rand", "compression=2", "tracking.mode=offline")
    complete(tmp_path, "-m", *words)
    assert server.read() == {}
    sync = command_line("rps_bench.tracking", tmp_path)
    done = sync("sync", "results")
    assert done.stdout == "sent 2 of 2 runs under results/wandb\n", done.stderr
    require_alike(server, tmp_path)
    assert sync("sync", "results").stdout == "nothing to send under results/wandb\n"

    done = command_line(DASHBOARD, tmp_path)("report", "results")
    assert (done.returncode, done.stderr) == (0, "")
    with closing(sqlite3.connect(server.folder / "openwandb.db")) as file:
        query = "SELECT path FROM files WHERE run_id LIKE 'report-%' AND name LIKE '%results%'"
        ((path,),) = file.execute(query)
    table = json.loads((server.folder / path).read_text())
    found = {row[table["columns"].index("run_id")] for row in table["data"]}
    assert found == {record["run_id"] for record in read_records(tmp_path / "results")[0]}

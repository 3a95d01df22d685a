"""A Slurm of one node for the tests of this folder, and sweeps that are sent to it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "slurm_cluster.sh"
NOT_HERE = 3  # the script's exit status where Slurm's commands are missing
WAIT_SECONDS = 3600  # for anything: a loaded machine takes minutes to import torch


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands see the test's cluster; gone at the end."""
    if "slurm" not in request.config.getoption("markexpr"):
        pytest.skip("minutes long, asked for by name: make test-slurm")
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra slurm")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    # Not under pytest's own folder, which is closed to others: munged wants its socket reachable.
    environment["RPS_BENCH_SLURM_FOLDER"] = f"{gettempdir()}/rps_bench_slurm_test_{os.getpid()}"
    environment["RPS_BENCH_SLURM_PORT"] = str(_free_ports())
    environment["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    environment["SLURM_CONF"] = environment["RPS_BENCH_SLURM_FOLDER"] + "/slurm.conf"
    environment["OMP_NUM_THREADS"] = "1"
    for name in ("RPS_BENCH_DATA", "HYDRA_FULL_ERROR"):
        environment.pop(name, None)
    started = _script("start", environment)
    if started.returncode == NOT_HERE:
        pytest.skip(started.stderr.strip())
    try:
        assert started.returncode == 0, started.stderr
        yield environment
    finally:
        assert _script("stop", environment).returncode == 0
    assert not Path(environment["RPS_BENCH_SLURM_FOLDER"]).exists()


def _free_ports() -> int:
    """The first of two ports in a row that nobody listens on now."""
    for port in range(26817, 27817, 2):
        with socket.socket() as first, socket.socket() as second:
            if first.connect_ex(("127.0.0.1", port)) and second.connect_ex(("127.0.0.1", port + 1)):
                return port
    pytest.fail("no free ports for a cluster")


def _script(word: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    # The daemons keep what they inherit: a pipe would never end, so both streams are files.
    with open(f"{environment['XDG_CACHE_HOME']}/{word}.log", "w+") as log:
        result = subprocess.run(
            [str(SCRIPT), word], env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
        )
        log.seek(0)
        return subprocess.CompletedProcess(result.args, result.returncode, "", log.read())


@dataclass
class Sweep:
    """A sweep on Slurm: the command that waits for it, and what one can see of its jobs."""

    process: subprocess.Popen[str]
    folder: Path
    environment: dict[str, str]

    def slurm(self, *words: str) -> str:
        """What a command of Slurm answers."""
        return subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=True
        ).stdout

    def count_running(self) -> int:
        """Jobs on the node now."""
        return len(self.slurm("squeue", "--noheader", "--states=R,CG", "--format=%i").split())

    def job_of(self, method: str) -> str:
        """The id of the job that trains a method, once it has begun."""
        return str(wait_for(lambda: self._find_job(method), f"a job of {method}"))

    def _find_job(self, method: str) -> str | None:
        for path in self.folder.glob("results/.submitit/*/*_log.out"):
            if f"-{method}-" in path.read_text():
                return path.parent.name
        return None

    def epochs(self, method: str) -> list[int]:
        """The epochs that a method's job printed, over all its stays on the node."""
        found = []
        for path in self.folder.glob("results/.submitit/*/*_log.out"):
            found += re.findall(rf"-{method}-\S+  epoch (\d+)/", path.read_text())
        return [int(epoch) for epoch in found]

    def num_restarts(self, job: str) -> int:
        """How often Slurm has started a job again."""
        found = re.search(r"Restarts=(\d+)", self.slurm("scontrol", "show", "job", job))
        return int(found[1]) if found else 0

    def finish(self) -> tuple[int, str]:
        """Exit status and output of the command."""
        output, _ = self.process.communicate(timeout=WAIT_SECONDS)
        return self.process.returncode, output

    def records(self) -> dict[str, dict[str, Any]]:
        """All records by run id; a run recorded twice fails here."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted((self.folder / "results" / "records").rglob("*.json")):
            record = json.loads(path.read_text())
            assert record["run_id"] not in found
            found[record["run_id"]] = record
        return found


Submit = Callable[..., Sweep]


@pytest.fixture
def submit(cluster: dict[str, str], tmp_path: Path) -> Iterator[Submit]:
    """``python -m rps_bench -m hydra/launcher=slurm WORDS``, from an empty folder."""
    processes: list[subprocess.Popen[str]] = []

    def call(*words: str, launcher: str = "slurm") -> Sweep:
        process = subprocess.Popen(
            [sys.executable, "-m", "rps_bench", "-m", f"hydra/launcher={launcher}", *words],
            cwd=tmp_path,
            env=cluster,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return Sweep(process, tmp_path, cluster)

    yield call
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    subprocess.run(["scancel", f"--user={os.getuid()}"], env=cluster, check=True)


def wait_for(look: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """Call ``look`` until it gives something true; return that."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.2)

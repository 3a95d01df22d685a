import getpass
import json
import platform
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from rps_bench.records import collect_provenance
from rps_bench.records.provenance import describe_checkout
from rps_bench.runtime.waiting import VARIABLES


def _git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "rps_bench").mkdir(parents=True)
    (folder / "rps_bench/a.py").write_text("a = 1\n")
    _git(folder, "init", "--quiet")
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_it_is_json_and_tells_versions_and_time() -> None:
    provenance = json.loads(json.dumps(collect_provenance(), allow_nan=False))
    assert provenance["python"] == platform.python_version()
    assert set(provenance["versions"]) == {"torch", "torchvision", "hydra-core", "numpy"}
    assert datetime.fromisoformat(provenance["started_at"]).utcoffset() is not None
    assert provenance["cpu_count"] >= 1
    assert provenance["num_threads"] >= 1


def test_it_tells_how_threads_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert collect_provenance()["waiting"] == {}
    monkeypatch.setenv("GOMP_SPINCOUNT", "300")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    stated = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "300"}
    assert collect_provenance()["waiting"] == stated


def test_it_names_no_place() -> None:
    provenance = collect_provenance()
    values = [str(value) for value in provenance.values()]
    assert not [value for value in values if str(Path.home()) in value]
    assert platform.node() not in values
    assert getpass.getuser() not in values
    assert set(provenance) == {
        "started_at", "git_commit", "git_dirty", "package_version", "python", "versions",
        "platform", "cpu_model", "cpu_count", "num_threads", "waiting",
        "gpu_name", "deterministic", "kernels_build",
    }  # fmt: skip


def test_a_clean_checkout(checkout: Path) -> None:
    assert describe_checkout(checkout) == (_git(checkout, "rev-parse", "HEAD"), False)


def test_only_changed_code_makes_it_dirty(checkout: Path) -> None:
    (checkout / "results").mkdir()
    (checkout / "results/table.csv").write_text("x\n")
    assert describe_checkout(checkout)[1] is False
    (checkout / "rps_bench/new.py").write_text("b = 2\n")
    assert describe_checkout(checkout)[1] is True


def test_another_projects_checkout_is_not_ours(checkout: Path) -> None:
    assert describe_checkout(checkout / "rps_bench") == (None, None)


def test_no_checkout_no_commit_no_git(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert describe_checkout(tmp_path) == (None, None)
    (tmp_path / "empty").mkdir()
    _git(tmp_path / "empty", "init", "--quiet")
    assert describe_checkout(tmp_path / "empty") == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_checkout(checkout) == (None, None)


def test_records_import_no_torch() -> None:
    code = "import sys, rps_bench.records; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

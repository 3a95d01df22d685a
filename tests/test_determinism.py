"""The same command gives the same bytes: whatever surrounds it, alone or beside other processes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rps_bench.determinism import CUBLAS, repeatable_algorithms
from rps_bench.methods import METHODS
from rps_bench.methods.pruning.magnitude import Magnitude
from rps_bench.records import read_records
from tests.alike import results_of, without_times
from tests.conftest import Command

TINY = ("recipe=smoke", "recipe.epochs=1", "arch.width=2", "device=cpu", "precision=fp32")
OTHERS = ",".join(name for name in METHODS if name != "dense")
EVERY_METHOD = (
    "-m", *TINY, "threads=1", f"method=dense,{OTHERS}", "compression=1,2", "keep_model=true",
    f"exclude=[{{compression: 1, method: [{OTHERS}]}}]",
)  # fmt: skip

# Runs a module's door with every global generator in a state of its own.
POISONED = """
import random, runpy, sys
import numpy, torch
number, module = int(sys.argv[1]), sys.argv[2]
random.seed(number), numpy.random.seed(number), torch.manual_seed(number)
sys.argv[:3] = [module]
runpy.run_module(module, run_name="__main__")
"""


def run_poisoned(number: int, folder: Path, module: str, *words: str) -> None:
    """Run ``python -m MODULE WORDS`` in a folder with other hashes and other random numbers."""
    environment = {**os.environ, "PYTHONHASHSEED": str(number), "XDG_CACHE_HOME": str(folder)}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    subprocess.run(
        [sys.executable, "-c", POISONED, str(number), module, *words],
        check=True,
        cwd=folder,
        env=environment,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of every method in a process whose global generators are poisoned."""
    folder = tmp_path_factory.mktemp("poisoned")
    run_poisoned(1, folder, "rps_bench", *EVERY_METHOD)
    return folder / "results"


def test_no_method_knows_global_generators_or_hashes(
    poisoned: Path, command: Command, tmp_path: Path
) -> None:
    torch.manual_seed(2)
    assert command(*EVERY_METHOD) == 0
    first, second = results_of(poisoned), results_of(tmp_path / "results")
    assert len(first) == len(METHODS)
    assert first.keys() == second.keys()
    for run_id, (record, model) in first.items():
        assert record == second[run_id][0], run_id
        assert model == second[run_id][1], run_id


def test_processes_side_by_side_give_the_same(
    poisoned: Path, command: Command, tmp_path: Path
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs the extra processes")
    words = (*EVERY_METHOD[:-3], "method=stable_rps,snip,ltr", "compression=2", "keep_model=true")
    processes = ("hydra/launcher=processes", "hydra.launcher.n_jobs=2", "threads=1")
    assert command("-m", *processes, *words[1:]) == 0
    alone, beside = results_of(poisoned), results_of(tmp_path / "results")
    assert len(beside) == 3
    for run_id, result in beside.items():
        assert result == alone[run_id], run_id


def test_reports_of_the_same_records_are_the_same_files(poisoned: Path, tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for number, folder in enumerate(folders, 1):
        records = folder / "results" / "records"
        shutil.copytree(poisoned / "records", records)
        run_poisoned(number, folder, "rps_bench.reports")
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in written(folder)}
        for folder in folders
    )
    names = {path.name for path in first}
    assert {"table.csv", "summary.csv", "claims.csv", "report.html"} <= names
    assert {path.suffix for path in first} >= {".png", ".svg", ".pdf", ".parquet"}
    assert first.keys() == second.keys()
    assert [path for path in first if first[path] != second[path]] == []


def written(folder: Path) -> Iterator[Path]:
    return (path for path in (folder / "results").rglob("*") if path.is_file())


@pytest.mark.parametrize("before", [None, ":16:8", ":32:1"])
def test_settings_are_given_back(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    monkeypatch.delenv(CUBLAS, raising=False)
    if before is not None:
        monkeypatch.setenv(CUBLAS, before)

    def settings() -> tuple[object, ...]:
        is_on = torch.are_deterministic_algorithms_enabled()
        return is_on, cudnn.deterministic, cudnn.benchmark, os.environ.get(CUBLAS)

    def fail() -> None:
        with repeatable_algorithms(True):
            assert settings() == (True, True, False, ":16:8" if before == ":16:8" else ":4096:8")
            raise ZeroDivisionError

    outside = settings()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert settings() == outside
    with repeatable_algorithms(False):
        assert settings() == outside


def test_the_record_says_so_and_is_the_same_otherwise(command: Command, tmp_path: Path) -> None:
    for name, value in (("a", "false"), ("b", "true")):
        assert command(*TINY, f"results_dir={name}", f"deterministic={value}") == 0
    ((first,), _), ((second,), _) = (read_records(tmp_path / name) for name in ("a", "b"))
    assert first["provenance"].pop("deterministic") is False
    assert second["provenance"].pop("deterministic") is True
    assert without_times(first) == without_times(second)
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_operation_without_a_repeatable_form_is_one_clear_line(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def scores(method: Magnitude, model: torch.nn.Module, probe: object) -> torch.Tensor:
        return torch.zeros(5).put_(torch.tensor([1]), torch.ones(1))

    monkeypatch.setattr(Magnitude, "scores", scores)
    assert command(*TINY, "method=mag", "deterministic=true") == 1
    ((record,), _) = read_records(tmp_path / "results")
    assert record["status"] == "failed"
    assert record["provenance"]["deterministic"] is True
    assert record["reason"] == (
        "deterministic=true: put_ has no deterministic form; deterministic=false runs it"
    )
    captured = capsys.readouterr()
    assert captured.out == f"failed: {record['run_id']}  {record['reason']}\n"
    assert captured.err == ""
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_records_keep_what_the_comparison_needs(poisoned: Path) -> None:
    """The comparison leaves out times and memory, and nothing else."""
    text = json.dumps([record for record, _ in results_of(poisoned).values()])
    assert '"test_loss"' in text
    assert '"layer_densities"' in text
    assert "seconds" not in text

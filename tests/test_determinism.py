"""The same command gives the same bytes: whatever surrounds it, alone or beside other processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rps_bench.methods import METHODS
from rps_bench.methods.pruning.magnitude import Magnitude
from rps_bench.records import read_records
from rps_bench.reports.__main__ import main as report
from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.figures.files import plan_figures
from rps_bench.reports.figures.rendering import figure_style, save_figure
from rps_bench.runtime.determinism import CUBLAS, repeatable_algorithms
from tests.alike import TINY, results_of, without_times
from tests.conftest import Command

OTHERS = ",".join(name for name in METHODS if name != "dense")
EVERY_METHOD = (
    "-m", *TINY, "threads=1", f"method=dense,{OTHERS}", "compression=1,4", "keep_model=true",
    f"exclude=[{{compression: 1, method: [{OTHERS}]}}]",
)  # fmt: skip

# Before anything else, puts every global generator into a state of its own.
POISON = """
import random, sys
import numpy, torch
number = int(sys.argv.pop(1))
random.seed(number), numpy.random.seed(number), torch.manual_seed(number)
"""
RUN = f"""{POISON}
from rps_bench.__main__ import main
main()
"""
REPORT = f"""{POISON}
from tests.test_determinism import write_report
write_report()
"""


def run_python(number: int, folder: Path, program: str, *words: str) -> None:
    """Run a program in a folder with hashes and global random numbers of this number."""
    environment = {**os.environ, "PYTHONHASHSEED": str(number), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
    subprocess.run(
        [sys.executable, "-c", program, str(number), *words],
        check=True,
        cwd=folder,
        env=environment,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of every method in a process whose global generators are poisoned."""
    folder = tmp_path_factory.mktemp("poisoned")
    run_python(1, folder, RUN, *EVERY_METHOD)
    return folder / "results"


def test_no_method_knows_global_generators_hashes_or_neighbours(
    poisoned: Path, command: Command, tmp_path: Path
) -> None:
    assert command(*EVERY_METHOD, "processes=2") == 0
    alone, beside = results_of(poisoned), results_of(tmp_path / "results")
    assert len(alone) == len(METHODS)
    assert alone.keys() == beside.keys()
    for run_id, (record, model) in alone.items():
        assert record == beside[run_id][0], run_id
        assert model == beside[run_id][1], run_id


def write_report() -> None:
    """Write everything about ``results`` but most of the figures, which take long."""
    assert report(["results", "--only", "table", "claims", "html"]) == 0
    with figure_style():
        planned = next(plan_figures(read_results("results")))
        save_figure(planned.draw(), Path("results"), "drawn")


def test_reports_of_the_same_records_are_the_same_files(
    poisoned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "here", tmp_path / "there"]
    for folder in folders:
        shutil.copytree(poisoned / "records", folder / "results" / "records")
    monkeypatch.chdir(folders[0])
    write_report()
    run_python(2, folders[1], REPORT)
    first, second = (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in folders
    )
    names = {Path(path).name for path in first}
    assert {"table.csv", "table.parquet", "summary.csv", "claims.csv", "report.html"} <= names
    assert {"drawn.png", "drawn.svg", "drawn.pdf"} <= names
    assert first.keys() == second.keys()
    assert [path for path in first if first[path] != second[path]] == []


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

"""The report run: tables and figures of a results folder, as wandb wrote them."""

import base64
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rps_bench.records import write_record
from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.dashboard.__main__ import main
from rps_bench.reports.dashboard.tables import find_figures, pareto_table
from tests.tracking.conftest import DASHBOARD, WandbFolder, command_line, describe, make_record

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def write_study(folder: Path) -> None:
    """Accuracies at 10x: mag 79, snip 60; at 100x: mag 60, snip 70, roast diverged."""
    for method, compression, accuracy in (
        ("mag", 10.0, 79.0), ("snip", 10.0, 60.0), ("mag", 100.0, 60.0), ("snip", 100.0, 70.0),
        ("roast", 100.0, None),
    ):  # fmt: skip
        run = describe(folder, method=method, label=method, compression=compression)
        record = make_record(run, "completed" if accuracy else "diverged")
        record["metrics"]["test_accuracy"] = accuracy
        write_record(folder, record)
    (folder / "plots" / "curves").mkdir(parents=True)
    (folder / "plots" / "pareto-digits.png").write_bytes(PIXEL)
    (folder / "plots" / "curves" / "loss.png").write_bytes(PIXEL)


def read_table(folder: WandbFolder, name: str) -> pd.DataFrame:
    (path,) = folder.path.glob(f"offline-*/files/media/table/{name}_*.table.json")
    table: dict[str, Any] = json.loads(path.read_text())
    return pd.DataFrame(table["data"], columns=table["columns"])


def test_the_frontier_by_hand(tmp_path: Path) -> None:
    write_study(tmp_path)
    table = pareto_table(read_results(tmp_path).points)
    assert {
        (row.method, row.compression): row.on_frontier for row in table.itertuples(index=False)
    } == {
        ("mag", 10.0): True, ("snip", 10.0): False, ("mag", 100.0): False, ("snip", 100.0): True,
        ("roast", 100.0): False,
    }  # fmt: skip


def test_figures_have_keys_of_their_names(tmp_path: Path) -> None:
    write_study(tmp_path)
    assert list(find_figures(tmp_path)) == ["figures/loss", "figures/pareto-digits"]


def test_one_run_with_tables_and_figures(tmp_path: Path) -> None:
    write_study(tmp_path / "results")
    (tmp_path / "results" / "records" / "broken.json").write_text("{")
    done = command_line(DASHBOARD, tmp_path)(
        "report", "results", "--project", "p", "--group", "mine"
    )
    folder = WandbFolder(tmp_path / "results")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"tables of 5 runs, 2 figures: {folder.path}\n"
    (run,) = folder.runs("report")
    summary = folder.summary(run)
    assert (summary["state"], summary["project"]) == ("finished", "p")
    assert summary["config"] == {"num_records": 5}
    (opened,) = folder.messages(run, "run")
    assert (opened["job_type"], opened["run_group"]) == ("report", "mine")
    assert set(summary["summary"]) >= {
        "pareto",
        "results",
        "claims",
        "figures/loss",
        "figures/pareto-digits",
    }
    pareto, results = read_table(folder, "pareto"), read_table(folder, "results")
    assert pareto["on_frontier"].sum() == 2
    assert pareto.loc[pareto["on_frontier"], "mean"].tolist() == [79.0, 70.0]
    assert sorted(results["status"]) == ["completed"] * 4 + ["diverged"]
    assert {"experiment_options", "protocol"} <= set(results)
    assert results["accuracy"].isna().sum() == 1
    assert len(list(folder.path.glob("offline-*/files/media/images/figures/*.png"))) == 2


def test_nothing_to_report_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    error = f"rps_bench: error: no records under {tmp_path / 'records'}: nothing to report\n"
    assert capsys.readouterr() == ("", error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("action", ["report", "views"])
def test_a_bad_project_is_one_line(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([action, "--project", "a/b"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rps_bench: error: tracking.project must have none of")

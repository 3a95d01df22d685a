"""The report run on trackio: read by SQL from its file."""

import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rps_bench.reports.dashboard.tables import collect
from rps_bench.reports.dashboard.trackio_report import write_text_report
from rps_bench.reports.styles import TIMES
from tests.reports.dashboard.test_tables import PIXEL, write_study
from tests.tracking.conftest import DASHBOARD, command_line

pytest.importorskip("trackio")


def read_report(results_dir: Path, project: str) -> tuple[str, dict[str, Any]]:
    """The name of the only run, and its row."""
    with closing(sqlite3.connect(results_dir / "trackio" / f"{project}.db")) as file:
        ((name, text),) = file.execute("SELECT run_name, metrics FROM metrics").fetchall()
    row: dict[str, Any] = json.loads(text)
    return name, row


def test_tables_figures_claims_and_the_page(tmp_path: Path) -> None:
    results_dir = tmp_path / "results"
    write_study(results_dir)
    (results_dir / "report.html").write_text("<p>all of it</p>")
    cli = command_line(DASHBOARD, tmp_path)
    for _ in range(2):  # the second replaces the first
        done = cli("report", "results", "--tracker", "trackio", "--project", "p")
        assert (done.returncode, done.stderr) == (0, "")
    words = "tables of 5 runs, 2 figures and report.html: results/trackio\n"
    assert done.stdout == words
    name, row = read_report(results_dir, "p")
    assert name == "report of results"
    pareto, claims = row["pareto"]["_value"], row["claims"]["_value"]
    assert {(point["method"], point["mean"]) for point in pareto if point["on_frontier"]} == {
        ("mag", 79.0), ("snip", 70.0),
    }  # fmt: skip
    assert [point["mean"] for point in pareto if point["method"] == "roast"] == [None]
    assert sorted(run["status"] for run in row["results"]["_value"]) == [
        *["completed"] * 4, "diverged",
    ]  # fmt: skip
    assert {claim["verdict"] for claim in claims} == {"undecided"}
    media = results_dir / "trackio" / "media"
    for key in ("figures/loss", "figures/pareto-digits"):
        assert (media / row[key]["file_path"]).read_bytes() == PIXEL
    assert len(list(media.rglob("*.png"))) == 2  # those of the first report are gone
    assert (media / "p" / "files" / "report.html").read_text() == "<p>all of it</p>"
    assert f"mag at 10{TIMES}: 79.00" in row["report"]["_value"]


def test_the_text_says_mean_spread_and_number(tmp_path: Path) -> None:
    write_study(tmp_path)
    lines = list(write_text_report(collect(tmp_path)))
    assert f"- digits resnet20 smoke: **mag at 10{TIMES}: 79.00 (n = 1)** (frontier)" in lines
    assert f"- digits resnet20 smoke: snip at 10{TIMES}: 60.00 (n = 1)" in lines
    (diverged,) = [line for line in lines if f"roast at 100{TIMES}" in line]
    assert diverged.endswith(f"roast at 100{TIMES}: no mean (n = 0, 1 diverged)")
    assert any(line.startswith("- stable_rps is at or above mag") for line in lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--entity", "me"), "--entity is an option of W&B, which --tracker trackio does not have"),
        (("--project", "a.b"), "--project must consist of letters, digits, - and _, got a.b"),
        ((), "no records under results/records: nothing to report"),
    ],
)
def test_bad_words_are_one_line(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = command_line(DASHBOARD, tmp_path)("report", "results", "--tracker", "trackio", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"rps_bench: error: {message}\n"
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_asked_of_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a token, trackio would ask whose it is; every address is reached through a proxy."""
    write_study(tmp_path / "results")
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "HF_ENDPOINT"):
            monkeypatch.setenv(name, proxy)
        monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
        done = command_line(DASHBOARD, tmp_path)("report", "results", "--tracker", "trackio")
        assert (done.returncode, done.stderr) == (0, "")
        with pytest.raises(BlockingIOError):
            listener.accept()

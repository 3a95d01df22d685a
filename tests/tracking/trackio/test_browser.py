"""The dashboard in a real browser after a real sweep: every run, its curves and its final numbers.

What the page shows and what SQL finds in the file are compared with the records.
"""

import csv
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from rps_bench.records import read_records
from rps_bench.reports.styles import TIMES
from tests.browser import TIMEOUT_MS, open_chromium
from tests.tracking.boards import read_trackio

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytest.importorskip("playwright.sync_api")
pytest.importorskip("trackio")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
WORDS = (
    "-m", "tracking=trackio", "dataset=digits", "recipe=smoke", "arch.width=4",
    "method=mag,stable_rps", "compression=10", "seed=0,1", "processes=2",
)  # fmt: skip
CURVES = ("test_accuracy", "test_loss", "train_loss")
# A thousand runs of twenty epochs, by the calls that a worker makes.
THOUSAND = """
import os, sys
from pathlib import Path
from rps_bench.tracking.trackio.environment import settle_this_process
folder = Path(sys.argv[1]) / "trackio"
folder.mkdir()
settle_this_process(folder, sys.argv[1])
os.environ["TRACKIO_SQLITE_SYNCHRONOUS"] = "off"  # this file need not survive the machine
from trackio.sqlite_storage import SQLiteStorage
for seed in range(1000):
    rows = [{"epoch": n, "test_accuracy": 50 + n + seed / 1000} for n in range(1, 21)]
    SQLiteStorage.bulk_log(
        project="rps_bench", run=f"mag-10x-s{seed}", run_id=f"run-{seed}", metrics_list=rows,
        steps=[row["epoch"] for row in rows], config={"seed": seed, "status": "completed"},
        log_ids=[f"run-{seed}/{row['epoch']}" for row in rows],
    )
"""


def start(*words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(results_dir: Path) -> Iterator[str]:
    """The address of the dashboard; an interrupt must end it as a success, without a word."""
    server = start("-m", "rps_bench.tracking", "dashboard", results_dir)
    assert server.stdout is not None
    line = server.stdout.readline()
    try:
        found = re.search(r"http://127\.0\.0\.1:\d+/\?project=\w+&smoothing=0", line)
        assert found is not None, line or server.communicate()[1]
        yield found[0]
    finally:
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate()
    assert (server.returncode, errors) == (0, "")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    training = start("-m", "rps_bench", *WORDS, f"results_dir={folder}")
    _, errors = training.communicate()
    assert (training.returncode, "trackio" in errors) == (0, False)
    return folder


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The records by the name of their run on a dashboard."""
    records, _ = read_records(folder)
    assert len(records) == 4
    return {f"{r['config']['label']}-10x-s{r['config']['seed']}": r for r in records}


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with open_chromium() as opened:
        yield opened


@contextmanager
def visiting(browser: "Browser", address: str) -> Iterator["Page"]:
    """A page that must raise no error and ask nothing of any other address."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    yield page
    context.close()
    assert errors == []
    home = urlsplit(address).netloc
    assert {urlsplit(url).netloc for url in requests if url.startswith("http")} == {home}
    assert all(url.startswith(("http:", "blob:", "data:")) for url in requests)


def plot(page: "Page", title: str, section: str = "charts") -> "Locator":
    """The drawn plot of a title in a section of the page."""
    place = page.locator(".accordion", has=page.get_by_text(re.compile(rf"^{section} \(\d+\)$")))
    frame = place.locator(".plot-container", has=page.get_by_text(title, exact=True))
    frame.scroll_into_view_if_needed()
    frame.locator("canvas").first.wait_for()
    return frame


def download(page: "Page", frame: "Locator", folder: Path) -> list[dict[str, str]]:
    """The points that a plot draws, through its own button."""
    frame.hover()
    with page.expect_download() as waiting:
        frame.get_by_label(re.compile("Download this plot.s data as a CSV file")).click()
    path = folder / "points.csv"
    waiting.value.save_as(path)
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_run_its_curves_and_its_final_numbers(
    sweep: Path, browser: "Browser", tmp_path: Path
) -> None:
    records = read(sweep)
    with serving(sweep) as address, visiting(browser, address) as page:
        page.locator(".checkbox-item .run-name").nth(3).wait_for()
        names = page.locator(".checkbox-item .run-name").all_inner_texts()
        assert sorted(names) == sorted(records)
        for key in CURVES:
            shown: dict[str, list[tuple[int, float]]] = {name: [] for name in names}
            for point in download(page, plot(page, key), tmp_path):
                shown[point["run"]].append((int(point["step"]), float(point[key])))
            for name, record in records.items():
                history = [(row["epoch"], row[key]) for row in record["history"]]
                assert sorted(shown[name]) == history
        bars = download(page, plot(page, "test_accuracy", "final"), tmp_path)
        assert {bar["run"]: float(bar["final/test_accuracy"]) for bar in bars} == {
            name: record["metrics"]["test_accuracy"] for name, record in records.items()
        }


def test_the_page_of_a_run_has_its_settings_and_final_numbers(
    sweep: Path, browser: "Browser"
) -> None:
    with serving(sweep) as address:
        for name, record in read(sweep).items():
            place = address.replace("/?", "/run?") + f"&selected_run_id={record['run_id']}"
            with visiting(browser, place) as page:
                page.get_by_role("heading", name=name).wait_for()
                shown = json.loads(page.locator(".config-block").inner_text())
            assert (shown["status"], shown["run_id"]) == ("completed", record["run_id"])
            numbers = {**record["metrics"], **record["size"], **record["cost"]}
            assert {key: shown[key] for key in numbers} == numbers
            assert shown["recipe_epochs"] == record["config"]["recipe_options"]["epochs"]


def test_sql_finds_the_same(sweep: Path) -> None:
    runs = {shown.name: shown for shown in read_trackio(sweep).values()}
    for name, record in read(sweep).items():
        shown = runs.pop(name)
        assert (shown.group, shown.status) == ("digits-resnet20-smoke", "completed")
        assert shown.epochs == [row["epoch"] for row in record["history"]]
        for key in CURVES:
            assert [row[key] for row in shown.rows] == [row[key] for row in record["history"]]
        assert shown.numbers["test_accuracy"] == record["metrics"]["test_accuracy"]
    assert runs == {}


def test_the_report_run_is_read_in_the_browser(
    sweep: Path, browser: "Browser", tmp_path: Path
) -> None:
    """Its summary and claims as text, its figures as images, report.html as a file."""
    folder = shutil.copytree(sweep, tmp_path / "copy")
    for words in (
        ("-m", "rps_bench.reports", folder),
        ("-m", "rps_bench.reports.dashboard", "report", folder, "--tracker", "trackio"),
    ):
        command = start(*words)
        command.communicate()
        assert command.returncode == 0
    accuracies = [
        record["metrics"]["test_accuracy"]
        for name, record in read(folder).items()
        if name.startswith("mag-")
    ]
    mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies)
    with serving(folder) as address, visiting(browser, address.replace("/?", "/reports?")) as page:
        text = f"mag at 10{TIMES}: {mean:.2f} ± {spread:.2f} (n = 2)"
        page.get_by_text(text, exact=False).wait_for()
        page.get_by_text("stable_rps is at or above mag").wait_for()
        page.get_by_role("button", name="Media & Tables").click()
        for figure in sorted((folder / "plots").glob("pareto-*.png")):
            page.get_by_text(f"figures/{figure.stem}", exact=True).wait_for()
        page.get_by_role("button", name="Files").click()
        page.get_by_text("report.html").wait_for()


def test_a_thousand_runs(browser: "Browser", tmp_path: Path) -> None:
    writer = start("-c", THOUSAND, tmp_path)
    assert writer.communicate() == ("", "")
    with serving(tmp_path) as address, visiting(browser, address) as page:
        page.get_by_text("Runs (1000)").wait_for()
        points = download(page, plot(page, "test_accuracy"), tmp_path)
        assert len({point["run"] for point in points}) == 1000

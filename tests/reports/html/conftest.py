"""Results folders for the page: three seeds with hand-made numbers, a hostile one, a large one."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rps_bench.reports.analysis.results import Results, read_results
from rps_bench.reports.html import write_report
from tests.browser import open_chromium
from tests.reports.conftest import make_record as new_record
from tests.reports.html.visits import Visit, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MakeRecord = Callable[..., dict[str, Any]]
WriteStudy = Callable[[Iterable[dict[str, Any]]], Results]

# Each would do or show something if it ever reached the page as markup.
HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 2'>",
    '"><b onmouseover="window.hacked = 3">bold</b>',
    "<b>bold</b> <!--<script>",
    "%{x} ${style} $data \u2028 & &amp; <b>no tag</b>",
)


def write_files(folder: Path, records: Iterable[dict[str, Any]]) -> Path:
    """Write records where the package does, without waiting for the disk after each."""
    for record in records:
        config = record["config"]
        place = folder / "records" / config["dataset"] / config["arch"]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{record['run_id']}.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def write_study(tmp_path: Path) -> WriteStudy:
    return lambda records: read_results(write_files(tmp_path / "results", records))


def make_curve_records(make_record: MakeRecord) -> list[dict[str, Any]]:
    """Mag at 10x with accuracies 80, 82, 84 (best 1 higher, loss .5 .6 .7) and dense 90."""
    records = [make_record("dense", 1.0, accuracy=90.0)]
    for seed in range(3):
        record = make_record("mag", 10.0, seed, accuracy=80.0 + 2 * seed, epochs=2)
        record["metrics"] |= {
            "best_test_accuracy": 81.0 + 2 * seed,
            "test_loss": (5 + seed) / 10,
        }
        record["history"] = [
            {"epoch": 1, "train_loss": 2.0, "test_accuracy": 40.0},
            {"epoch": 2, "train_loss": 1.25, "test_accuracy": 80.0 + 2 * seed},
        ]
        records.append(record)
    for record in records:  # one recipe for all, whatever was trained
        record["config"]["recipe_options"] = {"epochs": 2}
    return records


@pytest.fixture
def curve_records(make_record: MakeRecord) -> list[dict[str, Any]]:
    return make_curve_records(make_record)


def make_hostile_records(make_record: MakeRecord) -> list[dict[str, Any]]:
    """Runs with hostile text wherever a record has room for text."""
    records = []
    for seed, text in enumerate(HOSTILE):
        status = ("completed", "failed", "diverged")[seed % 3]
        record = make_record(
            "mag",
            10.0,
            seed,
            status=status,
            label=f"mag ({text})",
            recipe=f"quick {text}",
            method_options={"note": text},
            provenance={"cpu_model": text, "git_commit": text, "versions": {text: text}},
        )
        record["reason"] = text if status != "completed" else None
        record["method_report"] = {"collapsed_layers": [text]}
        records.append(record)
    records[0]["run_id"] = "javascript:window.hacked=4"
    records[1]["run_id"] = "../../secret"
    return records


@pytest.fixture
def hostile_study(tmp_path: Path, make_record: MakeRecord) -> Results:
    """A study of hostile records, in files of harmless names."""
    place = tmp_path / "hostile" / "records" / "odd"
    place.mkdir(parents=True)
    for number, record in enumerate(make_hostile_records(make_record)):
        (place / f"{number}.json").write_text(json.dumps(record))
    return read_results(tmp_path / "hostile")


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with open_chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Visit]:
    with visiting(browser) as lent:
        yield lent


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dense, mag and stable_rps at 10x and 100x; snip diverged; a second, smaller experiment."""
    records = make_curve_records(new_record)
    for record in (
        new_record("mag", 100.0, accuracy=60.0),
        new_record("stable_rps", 10.0, accuracy=85.0),
        new_record("stable_rps", 100.0, accuracy=75.0),
        new_record("snip", 100.0, status="diverged"),
        new_record("mag", 10.0, accuracy=50.0, dataset="cifar100"),
    ):
        record["config"]["recipe_options"] = {"epochs": 2}
        records.append(record)
    return write_report(read_results(write_files(tmp_path_factory.mktemp("report"), records)))


@pytest.fixture(scope="module")
def opened(browser: "Browser", report: Path) -> Iterator["Page"]:
    """The report, loaded once: plotly's script takes a second each time."""
    with visiting(browser) as lent:
        yield lent.open(report)


@pytest.fixture
def page(opened: "Page") -> "Page":
    """The report with all its controls as they were at first."""
    opened.click("#clear")
    return opened

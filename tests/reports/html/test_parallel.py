"""Parallel coordinates in a real browser: every completed run is a line through its numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.html import write_report
from tests.reports.conftest import make_record
from tests.reports.html.conftest import write_files
from tests.reports.html.visits import Visit, visiting, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright.sync_api")
pytest.importorskip("plotly")

DRAWN = "document.getElementById('parallel-a').data"
WORDS = "document.getElementById('parallel-a').layout.annotations"


@pytest.fixture(scope="module")
def rates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods at 10x and 100x, accuracies 50 to 80, by rates 0.1 and 1; one diverged run."""
    records = []
    for method, level in (("mag", 50.0), ("stable_rps", 70.0)):
        for seed, (compression, rate) in enumerate(((10.0, 0.1), (100.0, 1.0))):
            record = make_record(method, compression, seed, level + 10 * seed, epochs=2)
            record["config"]["recipe_options"]["lr"] = rate
            records.append(record)
    records.append(make_record("rand", 10.0, status="diverged", epochs=2))
    folder = tmp_path_factory.mktemp("rates")
    return write_report(read_results(write_files(folder, records)))


@pytest.fixture(scope="module")
def opened(browser: "Browser", rates: Path) -> Iterator["Page"]:
    with visiting(browser) as lent:
        yield lent.open(rates)


def read_lines(page: "Page") -> dict[str, list[list[float]]]:
    """The heights of each method's lines, axis by axis."""
    found = page.evaluate(f"{DRAWN}.map(t => [t.name, [...t.y]])")
    lines: dict[str, list[list[float]]] = {}
    for name, heights in found:
        lines[name] = [[]]
        for height in heights[:-1]:
            if height is None:
                lines[name].append([])
            else:
                lines[name][-1].append(height)
    return lines


def read_axis(page: "Page", title: str) -> dict[str, float]:
    """The words along an axis and their heights."""
    titles = page.evaluate("document.getElementById('parallel-a').layout.xaxis.ticktext")
    place = [text.replace("<br>", " ") for text in titles].index(title)
    return dict(page.evaluate(f"{WORDS}.filter(a => a.x === {place}).map(a => [a.text, a.y])"))


def test_each_completed_run_is_a_line_through_its_numbers(page: "Page") -> None:
    page.check("#all-experiments")
    wait_until(page, f"{DRAWN}.length === 2")
    lines = read_lines(page)
    assert list(lines) == ["stable_rps (2)", "mag (2)"]
    titles = page.evaluate("document.getElementById('parallel-a').layout.xaxis.ticktext")
    shown = [title.replace("<br>", " ") for title in titles]
    assert shown[:3] == ["compression", "learning rate", "accuracy (%)"]
    assert read_axis(page, "compression") == {"10\u00d7": 0, "100\u00d7": 1}
    assert read_axis(page, "learning rate") == {"0.1": 0, "1": 1}
    accuracy = read_axis(page, "accuracy (%)")
    assert accuracy == pytest.approx({"50": 0, "60": 1 / 3, "70": 2 / 3, "80": 1})
    assert [line[:3] for line in lines["mag (2)"]] == [
        [0, 0, pytest.approx(0)],
        [1, 1, pytest.approx(1 / 3)],
    ]
    assert [line[:3] for line in lines["stable_rps (2)"]] == [
        [0, 0, pytest.approx(2 / 3)],
        [1, 1, pytest.approx(1)],
    ]


def test_what_is_the_same_for_all_is_said_and_the_filter_followed(page: "Page") -> None:
    words = page.text_content("#parallel figcaption") or ""
    assert words.startswith("2 completed runs, a line each")  # of the experiment that is drawn
    assert "The same for all: " in words
    assert "epochs 2" in words
    page.check("#all-experiments")
    page.fill("#side-a input[type=search]", "mag")
    wait_until(page, f"{DRAWN}.length === 1")
    assert list(read_lines(page)) == ["mag (2)"]
    page.fill("#side-a input[type=search]", "rand")
    wait_until(page, "document.querySelector('#parallel figcaption').textContent.startsWith('No ')")
    assert page.locator("#parallel-a svg").count() == 0


def test_a_point_of_a_line_shows_its_runs(page: "Page") -> None:
    page.check("#all-experiments")
    wait_until(page, f"{DRAWN}.length === 2")
    page.evaluate(
        "() => { const box = document.getElementById('parallel-a');"
        " box.emit('plotly_click', {points: [{customdata: box.data[1].customdata[0]}]}); }"
    )
    page.locator("#chosen h3").get_by_text("mag at").wait_for()
    assert "mag-" in page.input_value("#chosen-run")


def test_on_a_phone_the_axes_lie_below_one_another(visit: Visit, rates: Path) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.open(rates)
    titles = page.evaluate("document.getElementById('parallel-a').layout.yaxis.ticktext")
    assert titles[0] in ("compression", "accuracy (%)")
    assert page.evaluate("document.documentElement.scrollWidth") == 390

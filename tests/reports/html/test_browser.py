"""The report in a real browser: it draws, switches, sorts and filters, asks nothing of a net."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from rps_bench.reports.analysis.results import Results, read_results
from rps_bench.reports.html import write_report
from rps_bench.reports.html.tables import NOTHING
from rps_bench.reports.styles import TIMES
from tests import patience
from tests.browser import TIMEOUT_MS, open_chromium
from tests.reports.conftest import make_record
from tests.reports.html.conftest import (
    HOSTILE,
    make_curve_records,
    write_files,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright.sync_api")
pytest.importorskip("plotly")

POINTS = "#pareto .scatterlayer .point"


@dataclass
class Visit:
    """A page that is open, and what it did that it should not have done."""

    page: "Page"
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, path: Path) -> "Page":
        self.page.set_default_timeout(TIMEOUT_MS)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector(POINTS, state="attached")
        return self.page


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with open_chromium() as opened:
        yield opened


def wait_until(page: "Page", expression: str) -> None:
    """Wait for a JavaScript expression to hold.

    Page.wait_for_function polls by eval inside the page, which the report's policy refuses whenever
    the first look comes too early; asking from outside is not bound by it.
    """
    patience.wait_until(lambda: page.evaluate(expression), expression)


@contextmanager
def visiting(browser: "Browser") -> Iterator[Visit]:
    """Lend a fresh page; in the end it must have been silent, and have asked for itself alone."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    visit = Visit(context.new_page())
    yield visit
    context.close()
    assert visit.errors == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in visit.requests)
    assert sum(url.startswith("file:") for url in visit.requests) == 1


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Visit]:
    with visiting(browser) as lent:
        yield lent


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dense, mag and stable_rps at 10x and 100x; snip diverged; a second, smaller experiment."""
    records = make_curve_records(make_record)
    for record in (
        make_record("mag", 100.0, accuracy=60.0),
        make_record("stable_rps", 10.0, accuracy=85.0),
        make_record("stable_rps", 100.0, accuracy=75.0),
        make_record("snip", 100.0, status="diverged"),
        make_record("mag", 10.0, accuracy=50.0, dataset="cifar100"),
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
    opened.evaluate(
        """() => {
          document.getElementById('controls').reset();
          document.getElementById('experiment').dispatchEvent(new Event('change', {bubbles: true}));
        }"""
    )
    opened.fill("#summary input[type=search]", "")
    opened.check("#summary input[type=checkbox]")
    return opened


def trace(page: "Page", name: str) -> dict[str, Any]:
    """What is drawn of one curve."""
    found = page.evaluate(
        "name => document.getElementById('pareto')._fullData.filter(t => t.name === name)"
        ".map(t => ({x: [...t.x], y: [...t.y], mode: t.mode, bars: t.error_y.array}))",
        name,
    )
    assert len(found) == 1, f"{len(found)} curves are named {name}"
    drawn: dict[str, Any] = found[0]
    return drawn


def titles(page: "Page") -> tuple[str, str]:
    x, y = (page.text_content(f"#pareto .g-{axis}title") or "" for axis in "xy")
    return x, y


def visible_rows(page: "Page", table: str) -> list[list[str]]:
    """The texts of the rows that a reader sees, in their order."""
    rows: list[list[str]] = page.eval_on_selector_all(
        f"#{table} tbody tr:not([hidden])",
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))",
    )
    return rows


def test_the_plot_shows_every_point(page: "Page") -> None:
    # dense, 2 of mag, 2 of stable_rps, 1 cross; the frontier has no marks
    assert page.locator(POINTS).count() == 6
    assert trace(page, "mag")["x"] == [10, 100]
    assert trace(page, "mag")["y"] == [82, 60]
    assert trace(page, "mag")["bars"] == [2, 0]
    assert trace(page, "Pareto frontier")["x"] == [100, 10, 1]
    assert trace(page, "Pareto frontier")["y"] == [75, 85, 90]
    assert trace(page, "diverged")["y"] == [10]
    assert titles(page) == ("Compression of the compressible weights", "Test accuracy (%)")


def test_the_axes_switch(page: "Page") -> None:
    page.select_option("#x-axis", "stored_bytes")
    page.select_option("#y-axis", "loss")
    wait_until(
        page, "document.querySelector('#pareto .g-xtitle').textContent.startsWith('Stored bytes')"
    )
    assert titles(page) == ("Stored bytes (less is better)", "Test loss")
    mag = trace(page, "mag")
    assert mag["x"] == [4 * (27_089 + 1_578), 4 * (2_708 + 1_578)]
    assert mag["y"] == [0.6, 0.5]
    assert trace(page, "diverged")["y"] == [pytest.approx(2.302585, abs=1e-4)]


def test_cost_joins_no_points_and_the_best_epoch_can_be_shown(page: "Page") -> None:
    assert trace(page, "mag")["mode"] == "lines+markers"
    page.select_option("#x-axis", "total_epochs")
    page.select_option("#y-axis", "best")
    mag = trace(page, "mag")
    assert (mag["mode"], mag["x"], mag["y"]) == ("markers", [2, 3], [83, 60])


def test_the_scales_switch(page: "Page") -> None:
    kinds = "[...'xy'].map(a => document.getElementById('pareto')._fullLayout[a + 'axis'].type)"
    assert page.evaluate(kinds) == ["log", "linear"]
    page.select_option("#x-scale", "linear")
    page.select_option("#y-scale", "log")
    assert page.evaluate(kinds) == ["linear", "log"]


def test_the_bars_switch(page: "Page") -> None:
    page.select_option("#bars", "interval")
    assert trace(page, "mag")["bars"][0] == pytest.approx(4.30265 * 2 / 3**0.5, abs=1e-3)
    page.select_option("#bars", "none")
    assert trace(page, "mag")["bars"] is None


def test_another_experiment_changes_plot_and_table(page: "Page") -> None:
    assert len(visible_rows(page, "summary-table")) == 6
    page.select_option("#experiment", label="CIFAR-100, ResNet-20, quick")
    assert trace(page, "mag")["y"] == [50]
    assert [row[3] for row in visible_rows(page, "summary-table")] == ["50.00"]
    page.uncheck("#summary input[type=checkbox]")
    assert len(visible_rows(page, "summary-table")) == 7


def test_a_table_sorts_with_missing_values_last(page: "Page") -> None:
    header = page.locator("#summary-table th", has_text="Accuracy")
    button = header.locator("button")
    button.focus()
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    column = [row[3] for row in visible_rows(page, "summary-table")]
    assert column == ["60.00", "75.00", "82.00", "85.00", "90.00", NOTHING]
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    column = [row[3] for row in visible_rows(page, "summary-table")]
    assert column == ["90.00", "85.00", "82.00", "75.00", "60.00", NOTHING]
    page.locator("#summary-table th button", has_text="Method").click()
    assert header.get_attribute("aria-sort") == "none"
    methods = [row[0] for row in visible_rows(page, "summary-table")]
    assert methods == ["dense", "mag", "mag", "snip", "stable_rps", "stable_rps"]


def test_the_compression_sorts_as_a_number(page: "Page") -> None:
    page.locator("#summary-table th button", has_text="Compression").click()
    column = [row[1] for row in visible_rows(page, "summary-table")]
    assert column == [f"{ratio}{TIMES}" for ratio in (1, 10, 10, 100, 100, 100)]


def test_numbers_are_compared_as_numbers(page: "Page") -> None:
    pairs = "[[0.5, 0.25], [-2, 1], [1000, 31.5]]"
    assert page.evaluate(f"{pairs}.map(pair => compareKeys(...pair))") == [0.25, -3, 968.5]


def test_a_table_filters_by_words(page: "Page") -> None:
    page.fill("#summary input[type=search]", "MAG 100x")
    assert [row[:2] for row in visible_rows(page, "summary-table")] == [["mag", f"100{TIMES}"]]
    assert page.text_content("#summary output") == "1 of 7 rows"
    page.fill("#summary input[type=search]", "")
    assert len(visible_rows(page, "summary-table")) == 6


def test_a_click_on_a_point_shows_its_runs(page: "Page") -> None:
    place = page.evaluate(
        """() => {
          const plot = document.getElementById('pareto');
          plot.scrollIntoView();
          const {xaxis, yaxis} = plot._fullLayout;
          const box = plot.getBoundingClientRect();
          return [box.x + xaxis._offset + xaxis.d2p(10), box.y + yaxis._offset + yaxis.d2p(82)];
        }"""
    )
    page.mouse.move(*place)
    page.wait_for_selector("#pareto .hoverlayer text")
    hover = page.text_content("#pareto .hoverlayer") or ""
    assert "accuracy 82.00 ± 2.00% [77.03, 86.97]" in hover
    assert "stored 114,668 bytes" in hover
    page.mouse.click(*place)
    page.wait_for_selector("#curves .scatterlayer .js-line", state="attached")
    assert page.text_content("#chosen h3") == f"mag at 10{TIMES}: CIFAR-10, ResNet-20, quick"
    cells = page.locator("#chosen tbody tr").nth(2).locator("td").all_text_contents()
    assert cells[:5] == ["2", "completed", "84.00", "85.00", "0.700"]
    curves = page.evaluate("document.getElementById('curves').data.map(t => [...t.y])")
    assert curves == [[40, 80], [2, 1.25], [40, 82], [2, 1.25], [40, 84], [2, 1.25]]


def test_a_button_shows_the_runs_of_its_row_and_links_lead_to_files(
    page: "Page", report: Path
) -> None:
    page.locator("#summary-table tr", has_text="snip").locator("button").click()
    assert f"snip at 100{TIMES}" in (page.text_content("#chosen h3") or "")
    assert page.evaluate("document.activeElement.id") == "chosen"
    links: list[str] = page.eval_on_selector_all("main a[href]", "links => links.map(a => a.href)")
    targets = {unquote(urlsplit(link).path) for link in links}
    assert targets == {str(path) for path in report.parent.rglob("*.json")}


def test_no_button_sends_the_plot_anywhere(page: "Page") -> None:
    labels = page.eval_on_selector_all(
        "#pareto .modebar-btn", "buttons => buttons.map(b => b.ariaLabel)"
    )
    assert labels == ["Download plot as a PNG", "Zoom", "Pan", "Reset axes"]
    with page.expect_download() as download:
        page.locator("#pareto .modebar-btn").first.dispatch_event("click")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_without_sideways_scrolling(
    visit: Visit, report: Path, scheme: Any
) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.open(report)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")
    assert page.evaluate("document.getElementById('pareto')._fullLayout.paper_bgcolor") == back


def test_the_plot_follows_the_window_and_prints_light(visit: Visit, report: Path) -> None:
    visit.page.emulate_media(color_scheme="dark")
    page = visit.open(report)
    width = "document.getElementById('pareto')._fullLayout.width"
    before = page.evaluate(width)
    page.set_viewport_size({"width": 600, "height": 800})
    wait_until(page, f"{width} < {before}")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    colour = "document.getElementById('pareto')._fullLayout.paper_bgcolor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    assert page.evaluate(width) == 680
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(colour) != "rgb(255, 255, 255)"


def test_hostile_text_shows_as_text_and_runs_nothing(visit: Visit, hostile_study: Results) -> None:
    page = visit.open(write_report(hostile_study))
    num_scripts = page.locator("script").count()
    for number in range(len(HOSTILE)):
        page.locator("#summary-table td button").nth(number).dispatch_event("click")
    page.uncheck("#summary input[type=checkbox]")
    legends = ""
    for value in range(page.locator("#experiment option").count()):
        page.select_option("#experiment", str(value))
        legends += page.evaluate("document.querySelector('#pareto .legend')?.textContent ?? ''")
    assert page.evaluate("window.hacked") is None
    assert page.locator("script").count() == num_scripts == 3
    assert page.locator("main b, main img").count() == 0
    summary = page.text_content("#summary-table") or ""
    assert all(f"mag ({text})" in summary for text in HOSTILE)
    completed = [text for place, text in enumerate(HOSTILE) if place % 3 == 0]
    assert all(f"mag ({text[:30]}" in legends for text in completed)


def test_a_thousand_runs_open_and_switch(visit: Visit, tmp_path: Path) -> None:
    methods = ("stable_rps", "roast", "hashednet", "rpg", "rand", "mag", "snip", "grasp", "small")
    history = [
        {"epoch": epoch + 1, "train_loss": 2.3 * 0.97**epoch, "test_accuracy": 10.0 + epoch}
        for epoch in range(60)
    ]
    records = [
        make_record(method, compression, seed, 90 - 5 * place, recipe=recipe) | {"history": history}
        for recipe in ("paper", "quick")
        for method in methods
        for place, compression in enumerate((1.0, 3.16, 10.0, 31.6, 100.0, 316.0, 1000.0))
        for seed in range(8)
    ]
    assert len(records) > 1000
    study = read_results(write_files(tmp_path / "large", records))
    page = visit.open(write_report(study))
    assert page.locator(POINTS).count() == len(methods) * 7
    page.select_option("#x-axis", "true_compression")
    assert titles(page)[0].startswith("True compression")
    page.locator("#summary-table td button").first.click()
    page.wait_for_selector("#curves .scatterlayer .js-line", state="attached")
    assert page.evaluate("document.getElementById('curves').data.length") == 16

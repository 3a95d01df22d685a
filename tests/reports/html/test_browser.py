"""The report in a real browser: it draws, switches, sorts and filters, asks nothing of a net."""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from rps_bench.reports.analysis.results import Results
from rps_bench.reports.html import write_report
from rps_bench.reports.html.tables import NOTHING
from rps_bench.reports.styles import TIMES
from tests.reports.html.conftest import HOSTILE
from tests.reports.html.visits import POINTS, Visit, titles, trace, visible_rows, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("playwright.sync_api")
pytest.importorskip("plotly")


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
        page, "document.querySelector('#pareto-a .g-xtitle').textContent.startsWith('Stored bytes')"
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
    kinds = "[...'xy'].map(a => document.getElementById('pareto-a')._fullLayout[a + 'axis'].type)"
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
    page.select_option("#experiment-a", label="CIFAR-100, ResNet-20, quick")
    assert trace(page, "mag")["y"] == [50]
    assert [row[3] for row in visible_rows(page, "summary-table")] == ["50.00"]
    page.check("#all-experiments")
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


def test_a_table_has_a_search_of_its_own(page: "Page") -> None:
    whole = len(visible_rows(page, "claims-table"))
    page.fill("#claims input[type=search]", "RPS_vs_mag 100x")
    rows = visible_rows(page, "claims-table")
    assert [row[:2] for row in rows] == [["rps_vs_mag", f"100{TIMES}"]]
    page.fill("#claims input[type=search]", "")
    assert len(visible_rows(page, "claims-table")) == whole


def test_a_click_on_a_point_shows_its_runs(page: "Page") -> None:
    place = page.evaluate(
        """() => {
          const plot = document.getElementById('pareto-a');
          plot.scrollIntoView();
          const {xaxis, yaxis} = plot._fullLayout;
          const box = plot.getBoundingClientRect();
          return [box.x + xaxis._offset + xaxis.d2p(10), box.y + yaxis._offset + yaxis.d2p(82)];
        }"""
    )
    page.mouse.move(*place)
    page.wait_for_selector("#pareto-a .hoverlayer text")
    hover = page.text_content("#pareto-a .hoverlayer") or ""
    assert "accuracy 82.00 ± 2.00% [77.03, 86.97]" in hover
    assert "stored 114,668 bytes" in hover
    page.mouse.click(*place)
    page.wait_for_selector("#curves .scatterlayer .js-line", state="attached")
    assert page.text_content("#chosen h3") == f"mag at 10{TIMES}: CIFAR-10, ResNet-20, quick"
    cells = page.locator("#chosen tbody tr").nth(2).locator("td, th").all_text_contents()
    assert cells[:5] == ["2", "completed", "84.00", "85.00", "0.700"]
    curves = page.evaluate("document.getElementById('curves').data.map(t => [...t.y])")
    assert curves == [[40, 80], [2, 1.25], [40, 82], [2, 1.25], [40, 84], [2, 1.25]]


def test_a_button_shows_the_runs_of_its_row_and_links_lead_to_files(
    page: "Page", report: Path
) -> None:
    page.locator("#summary-table tr", has_text="snip").locator("button").click()
    assert f"snip at 100{TIMES}" in (page.text_content("#chosen h3") or "")
    assert page.evaluate("document.activeElement.id") == "chosen"
    page.check("#all-experiments")
    links: list[str] = page.eval_on_selector_all("main a[href]", "links => links.map(a => a.href)")
    targets = {unquote(urlsplit(link).path) for link in links}
    assert targets == {str(path) for path in report.parent.rglob("*.json")}


def test_no_button_sends_the_plot_anywhere(page: "Page") -> None:
    labels = page.eval_on_selector_all(
        "#pareto-a .modebar-btn", "buttons => buttons.map(b => b.ariaLabel)"
    )
    assert labels == ["Download plot as a PNG", "Zoom", "Pan", "Reset axes"]
    with page.expect_download() as download:
        page.locator("#pareto-a .modebar-btn").first.dispatch_event("click")
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
    assert page.evaluate("document.getElementById('pareto-a')._fullLayout.paper_bgcolor") == back


def test_the_plot_follows_the_window_and_prints_light(visit: Visit, report: Path) -> None:
    visit.page.emulate_media(color_scheme="dark")
    page = visit.open(report)
    width = "document.getElementById('pareto-a')._fullLayout.width"
    before = page.evaluate(width)
    page.set_viewport_size({"width": 600, "height": 800})
    wait_until(page, f"{width} < {before}")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    colour = "document.getElementById('pareto-a')._fullLayout.paper_bgcolor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    assert page.evaluate(width) == 680
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(colour) != "rgb(255, 255, 255)"


def test_hostile_text_shows_as_text_and_runs_nothing(visit: Visit, hostile_study: Results) -> None:
    page = visit.open(write_report(hostile_study))
    num_scripts = page.locator("script").count()
    page.check("#all-experiments")
    for number in range(len(HOSTILE)):
        page.locator("#summary-table td button").nth(number).dispatch_event("click")
    page.check("#compare")
    legends = ""
    for place in range(page.locator("#experiment-a option").count()):
        page.select_option("#experiment-a", index=place)
        page.select_option("#experiment-b", index=place)
        legends += page.evaluate("document.querySelector('#pareto-a .legend')?.textContent ?? ''")
    assert page.evaluate("window.hacked") is None
    assert page.locator("script").count() == num_scripts == 3
    assert page.locator("main b, main img").count() == 0
    summary = page.text_content("#summary-table") or ""
    assert all(f"mag ({text})" in summary for text in HOSTILE)
    completed = [text for place, text in enumerate(HOSTILE) if place % 3 == 0]
    assert all(f"mag ({text[:30]}" in legends for text in completed)

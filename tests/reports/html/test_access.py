"""The page by keyboard and ear: names, headers, order of focus, words for drawings, print."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rps_bench.reports.styles import TIMES
from tests.reports.html.visits import Visit, visible_rows

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("playwright.sync_api")
pytest.importorskip("plotly")

# Roles without a name say nothing to who hears them.
NAMED = "a[href], button, input:not([hidden]), select, figure, nav, section, [role=region], table"


def test_everything_one_can_reach_has_a_name(page: "Page") -> None:
    page.check("#compare")
    page.locator("#summary-table td button").first.click()
    nameless = page.eval_on_selector_all(
        NAMED,
        """nodes => nodes.filter(node => {
          const by = node.getAttribute('aria-labelledby');
          const name = by ? document.getElementById(by)?.textContent
            : node.ariaLabel || node.caption?.textContent || node.labels?.[0]?.textContent
              || node.textContent || node.querySelector('figcaption')?.textContent;
          return !name?.trim();
        }).map(node => node.outerHTML.slice(0, 120))""",
    )
    assert nameless == []
    ids: list[str] = page.eval_on_selector_all("main [id]", "nodes => nodes.map(node => node.id)")
    assert len(ids) == len(set(ids))


def test_tables_have_headers_of_columns_and_rows(page: "Page") -> None:
    page.check("#compare")
    page.locator("#summary-table td button").first.click()
    assert page.locator("main table").count() >= 7
    assert page.locator("main thead th:not([scope=col])").count() == 0
    assert page.locator("main tbody tr > :first-child:not(th[scope=row])").count() == 0


def test_drawings_have_words_and_are_silent_themselves(page: "Page") -> None:
    assert page.locator(".plot svg.main-svg:not([aria-hidden=true])").count() == 0
    words = page.text_content("#plot figcaption") or ""
    assert "CIFAR-10, ResNet-20, quick: 8 runs, n = 1 to 3 per point." in words
    assert f"1{TIMES} dense 90.00; 10{TIMES} stable_rps 85.00; 100{TIMES} stable_rps 75.00" in words
    table = page.locator("#training table")
    assert table.locator("tbody tr").first.locator("td, th").all_text_contents()[1] == "3"


def test_the_keyboard_goes_from_the_skip_link_through_the_filter(
    visit: Visit, report: Path
) -> None:
    page = visit.open(report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to search and plots"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "words"
    page.keyboard.type("mag")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "experiment-a"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(".facet[open]").count() == 1
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator(".facet.active").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".facet[open]").count() == 0
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_nothing_moves_for_who_asked_for_that(visit: Visit, report: Path) -> None:
    visit.page.emulate_media(reduced_motion="reduce")
    page = visit.open(report)
    moving = page.eval_on_selector_all(
        "body *",
        "nodes => nodes.filter(node => ![getComputedStyle(node).transitionDuration,"
        " getComputedStyle(node).animationDuration].every(time => parseFloat(time) === 0)).length",
    )
    assert moving == 0


def test_print_has_all_rows_and_no_controls(page: "Page") -> None:
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(visible_rows(page, "runs-table")) == 8
    controls = "nav:visible, select:visible, input:visible, form button:visible, td button:visible"
    assert page.locator(controls).count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")

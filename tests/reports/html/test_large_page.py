"""A page of 2,000 runs: its bytes, and how little of it the browser has to draw."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.html import write_report
from rps_bench.reports.styles import TIMES
from tests.reports.html.conftest import write_files
from tests.reports.html.made_up import COMPRESSIONS, METHODS, make_many_records
from tests.reports.html.visits import POINTS, Visit, titles, visible_rows

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("playwright.sync_api")
pytest.importorskip("plotly")

MOST_BYTES = 15_000_000
PAGE_ROWS = 50


def turn(page: "Page", section: str, name: str) -> None:
    """Press a button, also one that is switched off: it must do nothing."""
    page.locator(f"#{section} .pager button", has_text=name).dispatch_event("click")


@pytest.mark.slow
def test_two_thousand_runs_open_switch_and_filter(visit: Visit, tmp_path: Path) -> None:
    records = make_many_records()
    assert len(records) == 2000
    path = write_report(read_results(write_files(tmp_path / "large", records)))
    assert path.stat().st_size < MOST_BYTES
    page = visit.open(path)
    page.check("#all-experiments")
    assert page.locator(POINTS).count() == len(METHODS) * len(COMPRESSIONS)
    for table in ("summary-table", "runs-table", "claims-table"):
        assert len(visible_rows(page, table)) <= PAGE_ROWS
    assert len(visible_rows(page, "runs-table")) == PAGE_ROWS
    pager = page.locator("#runs .pager span")
    assert pager.text_content() == "Rows 1 to 50 of 2000"
    turn(page, "runs", "Next")
    assert pager.text_content() == "Rows 51 to 100 of 2000"
    turn(page, "runs", "Previous")
    turn(page, "runs", "Previous")
    assert pager.text_content() == "Rows 1 to 50 of 2000"
    page.select_option("#x-axis", "true_compression")
    assert titles(page)[0].startswith("True compression")
    page.fill("#side-a input[type=search]", "vgg11 paper cifar100 snip 316x -s3-")
    assert [row[:3] for row in visible_rows(page, "runs-table")] == [["snip", f"316{TIMES}", "3"]]
    page.fill("#side-a input[type=search]", "")
    page.locator("#summary-table td button").first.click()
    page.wait_for_selector("#curves .scatterlayer .js-line", state="attached")
    assert page.evaluate("document.getElementById('curves').data.length") == 10

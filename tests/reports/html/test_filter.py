"""Search, facets and two selections in a real browser, and the link that keeps them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest

from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.html import write_report
from rps_bench.reports.styles import TIMES
from tests.reports.conftest import make_record
from tests.reports.html.conftest import write_files
from tests.reports.html.visits import Visit, trace, visible_rows, visiting

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright.sync_api")
pytest.importorskip("plotly")

HISTORY = ((1, 2.0, 40.0), (2, 1.0, 60.0))
FIXED, TUNED = "CIFAR-10, ResNet-20, quick", "CIFAR-10, ResNet-20, quick, protocol=tuned"


@pytest.fixture(scope="module")
def protocols(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mag and stable_rps, two compressions, three seeds: fixed, and tuned by 1, 2 and 6 better."""
    records = []
    for protocol in ("fixed", "tuned"):
        for method, level in (("mag", 70.0), ("stable_rps", 80.0)):
            for compression in (10.0, 100.0):
                for seed in range(3):
                    gain = (1, 2, 6)[seed] if protocol == "tuned" else 0
                    changes = {"protocol": protocol} if protocol == "tuned" else {}
                    accuracy = level - compression / 10 + seed + gain
                    record = make_record(method, compression, seed, accuracy, epochs=2, **changes)
                    record["history"] = [
                        {"epoch": epoch, "train_loss": loss, "test_accuracy": value + seed}
                        for epoch, loss, value in HISTORY
                    ]
                    record["size"]["stored_bytes"] += seed * 1000
                    records.append(record)
    failed = make_record("mag", 10.0, 7, status="failed", epochs=2)
    folder = tmp_path_factory.mktemp("protocols")
    return write_report(read_results(write_files(folder, [*records, failed])))


@pytest.fixture(scope="module")
def opened(browser: "Browser", protocols: Path) -> Iterator["Page"]:
    with visiting(browser) as lent:
        yield lent.open(protocols)


def view(page: "Page") -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(page.url).fragment, keep_blank_values=True)


def check(page: "Page", facet: str, value: str, side: str = "a") -> None:
    fold = page.locator(f"#side-{side} .facet[data-facet={facet}]")
    if fold.get_attribute("open") is None:
        fold.locator("summary").click()
    fold.locator(f'input[value="{value}"]').check()


def count(page: "Page", side: str = "a") -> str:
    return page.text_content(f"#side-{side} output") or ""


def test_only_facets_with_a_choice_are_offered(page: "Page") -> None:
    facets = page.eval_on_selector_all("#side-a .facet", "f => f.map(one => one.dataset.facet)")
    assert facets == ["protocol", "options", "method", "compression", "seed", "status"]


@pytest.mark.parametrize(
    ("facet", "value", "left"),
    [
        ("protocol", "tuned", 12),
        ("method", "mag", 13),
        ("compression", "100", 12),
        ("seed", "2", 8),
        ("status", "failed", 1),
    ],
)
def test_a_facet_leaves_its_runs(page: "Page", facet: str, value: str, left: int) -> None:
    assert count(page) == "25 of 25 runs"
    check(page, facet, value)
    assert count(page) == f"{left} of 25 runs"
    assert (facet, value) in view(page)


def test_facets_count_what_each_value_would_leave(page: "Page") -> None:
    check(page, "method", "mag")
    check(page, "protocol", "tuned")
    labels = page.locator("#side-a .facet[data-facet=method] label").all_text_contents()
    assert labels == ["mag(6)", "stable_rps(6)"]
    labels = page.locator("#side-a .facet[data-facet=protocol] label").all_text_contents()
    assert labels == ["fixed(7)", "tuned(6)"]


def test_figures_and_all_tables_follow(page: "Page") -> None:
    check(page, "method", "mag")
    check(page, "compression", "10")
    assert trace(page, "mag")["x"] == [10]
    drawn = "document.getElementById('pareto-a').data.map(t => t.name)"
    assert page.evaluate(drawn) == ["mag"]
    assert [row[:2] for row in visible_rows(page, "summary-table")] == [["mag", f"10{TIMES}"]]
    assert [row[2] for row in visible_rows(page, "runs-table")] == ["0", "1", "2", "7"]
    claims = visible_rows(page, "claims-table")
    assert claims
    assert all("mag" in row[0] and row[1] in (f"10{TIMES}", "\N{EN DASH}") for row in claims)
    assert len(visible_rows(page, "troubles-table")) == 1
    check(page, "seed", "0")
    assert visible_rows(page, "troubles-table") == []


def test_a_mean_is_one_over_the_runs_that_are_left(page: "Page") -> None:
    check(page, "seed", "0")
    check(page, "seed", "2")
    assert trace(page, "mag")["y"] == [70, 61]  # of 69 and 71, 60 and 62
    assert trace(page, "mag")["bars"] == [pytest.approx(2**0.5)] * 2
    row = visible_rows(page, "summary-table")[1]
    assert row[0] == "mag"
    assert row[3:8] == ["70.00", "1.41", "57.29 to 82.71", "2", "0"]  # 12.706 x 1
    assert row[9] == "115.7"  # (27,089 + 1,578) x 4 bytes, and 1000 more on average
    assert row[12].split() == ["show", "0", "2"]
    page.click("#clear")
    assert visible_rows(page, "summary-table")[1][3:6] == ["70.00", "1.00", "67.52 to 72.48"]


def test_the_page_computes_the_means_of_the_report(page: "Page") -> None:
    """With all runs of a point, its own arithmetic gives what the report was made with."""
    texts = page.evaluate(
        """() => books.get('summary-table').items.map(row => [
          [...row.cells].map(cell => cell.textContent.trim()),
          [...rewriteRow(row, (point => restrictPoint(point, point.runs))(
            study.points[row.dataset.point])).cells].map(cell => cell.textContent.trim()),
        ])"""
    )
    assert len(texts) == 8
    assert all(own == again for own, again in texts)
    assert page.evaluate(
        """() => Math.max(...study.points.flatMap(point => {
          const again = restrictPoint(point, point.runs);
          return Object.keys(point).filter(key => typeof point[key] === 'number')
            .map(key => Math.abs(point[key] - again[key]) / (Math.abs(point[key]) || 1));
        }))"""
    ) < 1e-5  # fmt: skip


@pytest.mark.parametrize(
    ("words", "left"),
    [("MAG 100x", 6), ("tuned -s1-", 4), ("failed at epoch", 1), ("mag rps", 0)],
)
def test_words_search_everything_a_run_is_named_by(page: "Page", words: str, left: int) -> None:
    page.fill("#side-a input[type=search]", words)
    assert count(page) == (f"{left} of 25 runs" if left else "No run of 25 matches.")


def test_no_match_says_so_and_can_be_taken_back(page: "Page") -> None:
    page.fill("#side-a input[type=search]", "nothing like it")
    assert "No run matches" in (page.text_content("#plot figcaption") or "")
    assert visible_rows(page, "summary-table") == []
    page.click("#clear")
    assert len(visible_rows(page, "runs-table")) == 13


def test_a_link_keeps_the_view(visit: Visit, protocols: Path) -> None:
    page = visit.open(protocols)
    assert view(page) == []
    page.fill("#side-a input[type=search]", "mag & 100% <b>")
    page.fill("#side-a input[type=search]", "mag")
    check(page, "seed", "1")
    page.check("#compare")
    check(page, "protocol", "tuned", "b")
    page.select_option("#y-axis", "loss")
    page.select_option("#curves-at", "100")
    page.locator("#summary-table td button").first.click()
    address, rows = page.url, visible_rows(page, "summary-table")
    assert dict(view(page)) | {"run": ""} == {
        "words": "mag", "seed": "1", "compare": "1", "b.protocol": "tuned", "b.experiment": TUNED,
        "y": "loss", "curves": "100", "run": "",
    }  # fmt: skip
    assert visit.go(address).url == address
    assert visible_rows(page, "summary-table") == rows
    assert page.input_value("#side-a input[type=search]") == "mag"
    assert page.input_value("#experiment-b") == TUNED
    assert (page.text_content("#chosen h3") or "").startswith(f"mag at 10{TIMES}")


def test_a_link_to_a_section_keeps_the_view(visit: Visit, protocols: Path) -> None:
    page = visit.open(protocols)
    check(page, "method", "mag")
    page.locator("nav a", has_text="Claims").click()
    page.wait_for_url("**/*at=claims")
    assert view(page) == [("method", "mag"), ("at", "claims")]
    visit.go(page.url)
    assert count(page) == "13 of 25 runs"
    top = page.evaluate("document.getElementById('claims').getBoundingClientRect().top")
    assert abs(top) < 300


def test_a_link_from_another_report_says_what_is_missing(visit: Visit, protocols: Path) -> None:
    page = visit.open(protocols)
    visit.go(protocols.as_uri() + "#method=mag&method=%3Cimg%20src%3Dx%3E&x=<b>&nothing=1&at=%22")
    assert count(page) == "13 of 25 runs"
    message = page.text_content("#message") or ""
    assert message.endswith("does not have: method <img src=x>, x <b>, nothing 1.")
    assert page.locator("main img:not([src^='data:']), main b").count() == 0


def test_the_link_can_be_copied(visit: Visit, protocols: Path) -> None:
    page = visit.open(protocols)
    check(page, "method", "mag")
    page.evaluate("() => { navigator.clipboard.writeText = async text => { copied = text; }; }")
    page.click("#copy")
    page.get_by_text("The link is copied.").wait_for()
    assert page.evaluate("window.copied") == page.url
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject('refused'); }")
    page.click("#copy")
    page.get_by_text("Copy the link from the box.").wait_for()
    assert page.input_value("#link") == page.url
    assert page.evaluate("document.activeElement.id") == "link"


def test_two_selections_stand_side_by_side_on_equal_axes(page: "Page") -> None:
    assert page.locator("#side-b").is_hidden()
    page.check("#compare")
    check(page, "protocol", "fixed")
    check(page, "protocol", "tuned", "b")
    assert page.input_value("#experiment-a") == FIXED
    assert page.input_value("#experiment-b") == TUNED
    ranges = page.evaluate(
        """() => ['a', 'b'].map(side => ['xaxis', 'yaxis'].map(
          axis => document.getElementById(`pareto-${side}`)._fullLayout[axis].range))"""
    )
    assert ranges[0] == ranges[1]
    rows = page.locator("#differences tbody tr")
    cells = [row.locator("td, th").all_text_contents() for row in rows.all()]
    assert len(cells) == 4
    # B - A is 1, 2 and 6: mean 3, std 2.6458, times 4.30265 / sqrt(3)
    assert cells[2] == [
        "mag", f"10{TIMES}", "70.00 ± 1.00 (n=3)", "73.00 ± 3.61 (n=3)", "+3.00", "-3.57 to +9.57",
        "3",
    ]  # fmt: skip
    page.uncheck("#compare")
    assert page.locator("#side-b").is_hidden()
    assert page.locator("#differences tbody tr").count() == 0


def test_only_equal_seeds_are_pairs(page: "Page") -> None:
    page.check("#compare")
    check(page, "seed", "0")
    check(page, "seed", "1")
    check(page, "protocol", "tuned", "b")
    page.select_option("#experiment-a", FIXED)
    row = page.locator("#differences tbody tr").nth(2).locator("td, th").all_text_contents()
    assert row[4:] == ["+1.50", "-4.85 to +7.85", "2"]


def test_training_curves_have_a_band_over_seeds(page: "Page") -> None:
    page.select_option("#curves-at", "10")
    drawn = page.evaluate(
        "document.getElementById('training-a').data.filter(t => t.xaxis === 'x')"
        ".map(t => [t.name, t.fill ?? '', [...t.y]])"
    )
    assert drawn == [
        ["stable_rps (n=3)", "toself", [42, 62, 60, 40]],
        ["stable_rps (n=3)", "", [41, 61]],
        ["mag (n=3)", "toself", [42, 62, 60, 40]],
        ["mag (n=3)", "", [41, 61]],
    ]
    words = page.text_content("#training figcaption") or ""
    assert "means over completed runs, n = 3." in words
    assert "Bands: one standard deviation on each side" in words
    check(page, "seed", "1")
    names = "document.getElementById('training-a').data.map(t => t.name)"
    assert page.evaluate(names) == ["stable_rps (n=1)"] * 2 + ["mag (n=1)"] * 2


def test_each_selection_has_training_curves_where_none_is_common(page: "Page") -> None:
    page.check("#compare")
    check(page, "compression", "100")
    check(page, "compression", "10", "b")
    words = [text or "" for text in page.locator("#training figcaption").all_text_contents()]
    assert [text.split(":")[0] for text in words] == ["At 100\u00d7", "At 10\u00d7"]

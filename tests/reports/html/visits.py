"""Visits to a report in a real browser, and what a reader finds there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import patience
from tests.browser import TIMEOUT_MS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

POINTS = "#pareto-a .scatterlayer .point"


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
        return self.go(path.as_uri())

    def go(self, address: str) -> "Page":
        """Load an address whole, even if it differs from the last one in its fragment alone."""
        self.page.goto("about:blank")
        self.requests.clear()
        self.page.goto(address)
        self.page.wait_for_selector("html[data-is-ready]", state="attached")
        return self.page


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


def trace(page: "Page", name: str) -> dict[str, Any]:
    """What is drawn of one curve."""
    found = page.evaluate(
        "name => document.getElementById('pareto-a')._fullData.filter(t => t.name === name)"
        ".map(t => ({x: [...t.x], y: [...t.y], mode: t.mode, bars: t.error_y.array}))",
        name,
    )
    assert len(found) == 1, f"{len(found)} curves are named {name}"
    drawn: dict[str, Any] = found[0]
    return drawn


def titles(page: "Page") -> tuple[str, str]:
    x, y = (page.text_content(f"#pareto-a .g-{axis}title") or "" for axis in "xy")
    return x, y


def visible_rows(page: "Page", table: str) -> list[list[str]]:
    """The texts of the rows that a reader sees, in their order."""
    rows: list[list[str]] = page.eval_on_selector_all(
        f"#{table} tbody tr",
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))",
    )
    return rows

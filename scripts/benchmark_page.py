"""Time report.html of many synthetic records in a real Chromium: bytes, first drawing, filtering.

    python -m scripts.benchmark_page [--records 2000] [--epochs 60] [--rounds 5]

The first drawing is when the plot has its points, counted from the start of the navigation. Needs
the development tools (playwright and a Chromium, which RPS_BENCH_CHROMIUM may name).
"""

import json
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rps_bench.core.arguments import Parser
from rps_bench.records import record_path
from rps_bench.reports.analysis.results import read_results
from rps_bench.reports.html import write_report
from scripts.benchmark_reports import make_record
from tests.browser import open_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Milliseconds until plotly has drawn and the browser has shown it, and of one more word searched.
_FIRST_DRAWING = """async () => {
  while (!document.querySelector('#pareto-a .scatterlayer .point')) {
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now();
}"""
_FILTERING = """async () => {
  const box = document.querySelector('#side-a input[type=search]');
  const before = performance.now();
  box.value = 'mag';
  box.dispatchEvent(new Event('input', {bubbles: true}));
  await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - before;
}"""


def write_records(folder: Path, num_records: int, num_epochs: int) -> None:
    """Write records with histories of that many epochs."""
    for number in range(num_records):
        record = make_record(number)
        entry = record["history"][0]
        record["history"] = [entry | {"epoch": epoch + 1} for epoch in range(num_epochs)]
        config = record["config"]
        path = record_path(folder, config["dataset"], config["arch"], record["run_id"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))


def time_page(browser: "Browser", page_path: Path) -> tuple[float, float]:
    """Seconds to the first drawing of a fresh visit, and of a search in it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(page_path.as_uri(), wait_until="commit")
    drawing = page.evaluate(_FIRST_DRAWING)
    page.wait_for_selector("html[data-is-ready]", state="attached")
    filtering = page.evaluate(_FILTERING)
    context.close()
    return drawing / 1000, filtering / 1000


def main() -> None:
    """Print the page's size and the medians of its times, with their ranges."""
    parser = Parser(description=__doc__)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_chromium() as browser:
        write_records(Path(folder), options.records, options.epochs)
        path = write_report(read_results(folder))
        print(f"{options.records} runs: {path.stat().st_size / 1e6:.1f} MB")
        times = [time_page(browser, path) for _ in range(options.rounds)]
    for name, seconds in zip(
        (
            "first drawing",
            "search",
        ),
        zip(*times, strict=True),
        strict=True,
    ):
        span = f"({min(seconds):.2f} to {max(seconds):.2f})"
        print(f"{name:16}{median(seconds):6.2f} s {span}")


if __name__ == "__main__":
    main()

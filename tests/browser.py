"""A real Chromium: the one that RPS_BENCH_CHROMIUM names, else a usual name on the path."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests import patience

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TIMEOUT_MS = 1000 * patience.PATIENCE_SECONDS


def find_chromium() -> str | None:
    named = os.environ.get("RPS_BENCH_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def open_chromium() -> Iterator["Browser"]:
    """Lend a browser, or skip the test where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    executable = find_chromium()
    if executable is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)}, RPS_BENCH_CHROMIUM not set")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=executable, args=ARGUMENTS, timeout=TIMEOUT_MS
        )
        yield opened
        opened.close()

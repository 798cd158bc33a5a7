"""Debian's Chromium, without a window, driven by Playwright: for the browser tests and the README's pictures."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from engines.errors import UserError


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. Raises UserError where none is installed: Playwright's own are not fetched."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise UserError("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()

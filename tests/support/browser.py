"""Debian's Chromium, driven by Playwright, for the tests of the console.

Playwright's own browser is never fetched. Without one of both the tests are skipped.
"""

from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@contextmanager
def browser():
    """Give a browser, or skip the test."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        pytest.skip("needs playwright: pip install '.[test]'")
    if not CHROMIUM.exists():
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def page(opened, size=DESK, theme="light"):
    """Give an empty page; fail when a script of it did."""
    context = opened.new_context(viewport=size, color_scheme=theme)
    failures = []
    try:
        found = context.new_page()
        found.on("pageerror", lambda error: failures.append(str(error)))
        yield found
    finally:
        context.close()
    assert not failures

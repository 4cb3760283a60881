"""Opening a report in a browser and waiting for it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

QUIET = ("no-sandbox", "disable-gpu", "disable-background-networking", "disable-component-update", "disable-sync")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; without one the test is skipped, except in CI."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    lacking = "Chromium" if chromium is None else "" if importlib.util.find_spec("playwright") else "Playwright"
    if lacking:
        if os.environ.get("CI"):
            pytest.fail(f"CI must look at the report: install {lacking}")
        pytest.skip(f"{lacking} is not installed: the page was not looked at")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = [f"--{flag}" for flag in (*QUIET, "no-first-run")]
        started = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield started
        started.close()


def settle(page: Any, *charts: str) -> None:
    """Wait until these charts show what was chosen, or all of them."""
    for chart in charts:
        page.locator(f"#{chart}").scroll_into_view_if_needed()
        page.wait_for_selector(f'#{chart}[data-drawn="true"]', timeout=60_000)
    if not charts:
        page.wait_for_selector('html[data-drawn="true"]', state="attached", timeout=60_000)


@contextmanager
def opened(browser: Any, file: Path, width: int = 1280, **options: Any) -> Iterator[Any]:
    """A page; whatever it says on the console or asks the network for is an error."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(file.as_uri())
        yield page
        assert said == []
        assert [url for url in asked if not url.startswith(("blob:", "data:"))] == [file.as_uri()]
    finally:
        context.close()


def choose(page: Any, section: str, name: str, value: str) -> None:
    """Use one of a section's controls."""
    page.select_option(f'#{section} select[data-choice="{name}"]', value)


def marks(page: Any, chart: str, kind: str = "symbol") -> int:
    """Marks of a chart, those of its legends not counted."""
    settle(page, chart)
    return page.locator(f"#{chart} svg g.mark-{kind}.role-mark > path").count()


def heading(page: Any, chart: str) -> str:
    """What stands above the marks of a chart, or in their place."""
    settle(page, chart)
    titles = page.locator(f"#{chart} .role-title text, #{chart} .empty").all_text_contents()
    return " | ".join(titles)


def saved(page: Any, chart: str, form: str) -> tuple[str, bytes]:
    """Name and bytes of a figure's file."""
    settle(page, chart)
    page.wait_for_timeout(150)  # Chromium silently drops what a page saves beyond ten files a second
    with page.expect_download() as download:
        page.click(f'.save[data-chart="{chart}"][data-format="{form}"]')
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()

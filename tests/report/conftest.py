"""The browser that looks at the report, and pages to look at."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deconfound.report import build_report
from support.fabricate import fabricate, fabricate_grid, fabricate_sweep

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


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every kind of figure: a sweep on one dataset, classifiers on another, and a name that attacks."""
    folder = tmp_path_factory.mktemp("rich")
    votes = {"dataset": "votes", "protocol": "classification", "predicted": True, "modalities": ("voice", "face")}
    runs = [fabricate_sweep(folder / "sweep"), *fabricate_grid(folder / "votes", seeds=3, **votes)]
    runs.append(fabricate(folder / "evil", name="</script><b>evil", **votes))
    return build_report(runs, folder / "report.html")


@pytest.fixture(scope="session")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 100 runs: 20 methods with 5 seeds, 8 metrics, 6 speakers."""
    folder = tmp_path_factory.mktemp("hundred")
    methods = ["erm", "cmir", *(f"method-{i:02}" for i in range(18))]
    speakers = [f"speaker-{i}" for i in range(6)]
    runs = fabricate_grid(folder, methods, 5, dataset="mosi", protocol="mmsa-regression", speakers=speakers)
    return build_report(runs, folder / "report.html")

"""Pages for the browser to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from deconfound.report import build_report
from support.fabricate import fabricate, fabricate_grid, fabricate_sweep


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

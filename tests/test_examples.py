"""Every script in examples/ runs, in an empty folder; the example of an own method is found by its entry point."""

from __future__ import annotations

import runpy
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from deconfound.datasets.synthetic import synthetic
from deconfound.registry import names
from deconfound.target_scaled import TargetScaled
from deconfound.training.train import train_run

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
PRINTED = {
    "make_corpus": "wrote 300 rows to corpus",
    "own_corruption": "severity",
    "own_data": "best alone: audio",
    "own_encoder": "present=m2",
    "own_reader": "wrote stores/sensors: 6 rows",
    "python_api": "test-flip",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, one thread, no arguments, and the caller's random state afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["example"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        yield tmp_path
    torch.set_num_threads(threads)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_runs(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(script), run_name="__main__")
    assert PRINTED[script.stem] in capsys.readouterr().out


def test_own_method_keeps_the_laws(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES / "own_method"))
    runpy.run_path(str(EXAMPLES / "own_method" / "check.py"), run_name="__main__")
    assert "keeps all laws" in capsys.readouterr().out


def test_own_method_trains_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from deconfound.runs.spec import Spec

    install(EXAMPLES / "own_method", folder / "site")
    monkeypatch.syspath_prepend(str(folder / "site"))
    assert "noise-augmentation" in names("methods")
    method = {"name": "noise-augmentation", "strength": 1.0}
    spec = Spec.of({"method": method, "train": {"epochs": 1, "accelerator": "cpu"}})
    run = train_run(spec, folder / "run", dataset=synthetic(rows=64), progress=False)
    method = run.method()
    assert isinstance(method, TargetScaled)
    assert method.inner.strength == 1.0
    assert {row.split(",")[3] for row in (run.path / "log.csv").read_text().splitlines()} >= {"clean", "noisy", "risk"}


def install(package: Path, site: Path) -> None:
    """What pip leaves behind: the modules, and the entry points of pyproject.toml in a .dist-info folder."""
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))
    info = site / "noise_augmentation-0.1.0.dist-info"
    info.mkdir(parents=True)
    for module in project["tool"]["setuptools"]["py-modules"]:
        shutil.copy(package / f"{module}.py", site)
    lines: list[str] = []
    for group, points in project["project"]["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (info / "METADATA").write_text(f"Name: {project['project']['name']}\nVersion: 0.1.0\n", encoding="utf-8")

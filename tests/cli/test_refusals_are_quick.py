"""What is no run, store or specification is refused before PyTorch, which takes longest to load, is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import contextlib, io, json, sys
from deconfound.cli import main
HEAVY = {"torch", "pandas", "scipy", "sklearn", "lightning", "altair"}
results = []
for words in json.loads(sys.stdin.read()):
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            main(words)
        except SystemExit as end:
            results.append([end.code, errors.getvalue(), sorted(HEAVY & set(sys.modules))])
print(json.dumps(results))
"""

REFUSALS = {
    "evaluate nosuch": "nosuch does not exist",
    "evaluate empty": "empty is not a run",
    "evaluate unfinished": "the run unfinished is not finished",
    "evaluate finished nosuch": "nosuch does not exist",
    "evaluate finished --store nosuch": "nosuch does not exist; make one with 'deconfound data import'",
    "evaluate finished --scenarios nosuch.toml": "cannot read the scenarios nosuch.toml",
    "predict nosuch rows.jsonl": "nosuch does not exist",
    "predict unfinished rows.jsonl": "the run unfinished is not finished",
    "predict finished nosuch.jsonl": "nosuch.jsonl does not exist",
    "predict finished wrong.txt": "wrong.txt is not a store",
    "report nosuch": "nosuch is not a run directory",
    "table nosuch": "nosuch is not a run directory",
    "diagnose nosuch": "nosuch does not exist",
    "diagnose unfinished": "the run unfinished is not finished",
    "diagnose finished --store empty": "empty is not a dataset store",
    "predominance nosuch": "nosuch does not exist",
    "predominance unfinished": "the run unfinished is not finished",
    "train nosuch.toml --out run": "cannot read the specification nosuch.toml",
    "train misspelt.toml --out run": "there is no argument 'sede'; did you mean 'seed'?",
    "train method.toml --out run": "there is no method 'ermm'; did you mean 'erm'?",
    "train fusion.toml --out run": "there is no fusion 'concatt'; did you mean 'concat'?",
    "train penalty.toml --out run": "there is no penalty 'vrexx'; did you mean 'vrex'?",
    "train store.toml --out run": "nosuch does not exist; make one with 'deconfound data import'",
    "tune store-tune.toml --out tuning": "nosuch does not exist; make one with 'deconfound data import'",
    "tune nosuch.toml --out tuning": "cannot read the tuning nosuch.toml",
    "sweep store-sweep.toml --out sweep": "nosuch does not exist; make one with 'deconfound data import'",
    "sweep nosuch.toml --out sweep": "cannot read the sweep nosuch.toml",
    "sweep status nosuch": "nosuch is not a sweep",
    "data check nosuch": "nosuch does not exist",
    "data check empty": "empty is not a dataset store",
    "data describe nosuch": "nosuch does not exist",
    "data import wrong.txt --format nosuch --out store": "there is no reader 'nosuch'",
    "data import wrong.txt --format mmsa --out empty": "empty exists already",
    "data environments unfinished --out store": "the run unfinished is not finished",
    "data environments finished --out empty": "empty exists already",
    "show ermm": "there is no component 'ermm'; did you mean 'erm'?",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    for name, files in {"unfinished": ["spec.json"], "finished": ["spec.json", "done.json"]}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_text("{}")
    specs = {
        "misspelt": 'method = "erm"\nsede = 1\n',
        "method": 'method = "ermm"\n',
        "store": 'method = "erm"\n[data]\nstore = "nosuch"\n',
        "store-tune": '[data]\nstore = "nosuch"\n[[method]]\nname = "erm"\n[search.train]\nepochs = { low = 1, high = 9 }\n',
        "store-sweep": '[[dataset]]\nname = "d"\nstore = "nosuch"\n[[method]]\nname = "erm"\n',
        "fusion": 'method = "erm"\n[backbone]\nfusion = "concatt"\n',
        "penalty": '[method]\nname = "erm"\npenalties = { vrexx = {} }\n',
    }
    for name, text in specs.items():
        (tmp_path / f"{name}.toml").write_text(text)
    (tmp_path / "wrong.txt").write_text("")
    return tmp_path


def test_refusals_come_before_anything_heavy_is_loaded(folder: Path) -> None:
    before = sorted(str(path) for path in folder.rglob("*"))
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([command.split() for command in REFUSALS]),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    results = json.loads(process.stdout.splitlines()[-1])
    for (command, message), (code, text, loaded) in zip(REFUSALS.items(), results, strict=True):
        assert (code, loaded) == (2, []), f"{command}: {text}"
        assert message in text, command
        assert text.count("\n") == 1, command
    assert sorted(str(path) for path in folder.rglob("*")) == before

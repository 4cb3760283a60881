"""The section on representations: only where a run was diagnosed, only of the weights that the run has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deconfound.errors import RunError
from deconfound.report import build_report
from deconfound.report.diagnostics import diagnosis_panels, read_diagnoses
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from support.fabricate import fabricate

ATTACK = "</script><b>evil"


def write(folder: Path, split: str = "valid", **changes: Any) -> Path:
    """A diagnosis beside a fabricated run, with what the page reads."""
    done = json.loads((folder / "done.json").read_text())
    probe = {"asks": "label", "part": "predictive", "modality": "all", "kind": "linear", "score": 0.5}
    leak = {"part": "predictive", "modality": "all", "kind": "linear", "found": {"score": 0.6, "chance": 0.2}}
    picture = {
        "part": "predictive",
        "x": [0.0, 1.0],
        "y": [1.0, 0.5],
        "label": [0.1, 0.2],
        "environment": ["a", ATTACK],
    }
    given = {
        "version": 1,
        "run": folder.name,
        "method": "cmir",
        "split": split,
        "rows": 40,
        "splits_features": True,
        "best_epoch": done["best_epoch"],
        "best_risk": done["best_risk"],
        "probes": [probe, {**probe, "kind": "kernel", "score": 0.7}, {**probe, "part": "spurious", "score": None}],
        "leakage": [leak, {**leak, "kind": "kernel", "found": None}],
        "shifts": [{"part": "predictive", "modality": "all", "found": {"size": 0.25}}],
        "dependence": [{"modality": m, "found": {"similarity": s}} for m, s in (("a", 0.2), ("b", 0.4))],
        "pictures": [{**picture, "explained": [0.5, 0.2]}],
        "verdict": [{"question": "Is it?", "answer": "yes", "text": f"It is {ATTACK}.", "alarm": True}],
    }
    path = folder / ("diagnosis.json" if split == "valid" else f"diagnosis-{split}.json")
    path.write_text(json.dumps({**given, **changes}))
    return path


def test_numbers_are_means_over_the_runs_that_were_diagnosed(tmp_path: Path) -> None:
    runs = [fabricate(tmp_path / f"cmir-{seed}", method="cmir", seed=seed) for seed in range(3)]
    runs.append(fabricate(tmp_path / "erm", method="erm"))
    shift = {"part": "predictive", "modality": "all", "found": {"size": 0.75}}
    write(runs[0])
    write(runs[1], shifts=[shift])
    write(runs[1], "test-zero")
    (section,) = build_sections([read_run(run) for run in runs])
    (panel,) = diagnosis_panels(section)
    assert [table.caption.split(",")[0] for table in panel.tables] == ["Rows of valid", "Rows of test-zero"]
    lines = {line.label: line for line in panel.tables[0].lines}
    assert [cell.value for cell in lines["cmir"].cells] == pytest.approx([0.7, None, 0.5, 0.5, 0.3])
    assert lines["cmir"].cells[3].sd == pytest.approx(0.5**0.5 / 2)
    assert lines["cmir"].note == "2 diagnosed"
    assert [cell.text for cell in lines["erm"].cells] == ["—"] * 5
    assert [figure.title for figure, _ in panel.figures] == ["cmir: Z_inv by label", "cmir: Z_inv by environment"]
    assert [verdict.title for verdict in panel.verdicts][-1] == "cmir: cmir-1, 40 rows of test-zero"


def test_the_page_shows_the_verdict_and_runs_nothing_from_it(tmp_path: Path) -> None:
    run = fabricate(tmp_path / "cmir", method="cmir")
    plain = build_report([run], tmp_path / "plain.html").read_text(encoding="utf-8")
    assert "Representations" not in plain
    write(run)
    page = build_report([run], tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'id="s1-diagnosis"' in page
    assert "Is it? <b>yes</b>" in page
    assert "&lt;/script&gt;&lt;b&gt;evil." in page
    assert ATTACK not in page


def test_a_diagnosis_of_other_weights_is_not_shown(tmp_path: Path) -> None:
    run = fabricate(tmp_path / "cmir", method="cmir")
    write(run, best_risk=0.123)
    assert read_diagnoses(read_run(run)) == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[]"),
        lambda path: write(path.parent, version=2),
        lambda path: write(path.parent, probes=[{"asks": "label"}]),
        lambda path: write(path.parent, verdict=[{"question": 3}]),
        lambda path: write(path.parent, shifts=[{"part": "predictive", "modality": "all", "found": {"size": "x"}}]),
        lambda path: write(path.parent, pictures=[{"x": [1], "y": [], "label": [], "environment": []}]),
    ],
)
def test_a_damaged_diagnosis_is_told_with_what_to_do(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    run = fabricate(tmp_path / "cmir", method="cmir")
    damage(write(run))
    with pytest.raises(RunError, match=r"diagnosis\.json is damaged .*remove it and run 'deconfound diagnose' again"):
        read_diagnoses(read_run(run))

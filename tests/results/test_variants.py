"""Other predictions of the same model stand in tables and reports as rows of their own, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deconfound.errors import RunError
from deconfound.evaluation.predictions import load_predictions, save_predictions
from deconfound.report import build_report
from deconfound.report.learning import learning_figures
from deconfound.report.reproduce import recipe
from deconfound.report.section_page import section_page
from deconfound.report.sensitivity import varied_hyperparameters
from deconfound.results.build_sections import build_sections
from deconfound.results.collect_runs import collect_runs
from deconfound.tables import build_tables
from deconfound.tables.compare_methods import TableSettings
from support.fabricate import fabricate
from support.small import small_run


def with_variant(folder: Path, *, seed: int, **options: object) -> Path:
    """A fabricated run of IMML whose variant "do" has records a hundredth lower."""
    fabricate(folder, method="imml", seed=seed, arguments={"gamma_fd": float(seed)}, **options)  # type: ignore[arg-type]
    lines = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    changed = [line | {"method": "imml [do]", "value": line["value"] and line["value"] - 0.01} for line in lines]
    (folder / "variants.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed))
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    erm = fabricate(tmp_path / "erm-0", method="erm", seed=0)
    return [erm, with_variant(tmp_path / "imml-0", seed=0)]


def test_a_variant_is_a_row_with_its_own_numbers(folders: list[Path]) -> None:
    (section,) = build_sections(collect_runs(folders).runs)
    assert [row.label for row in section.rows] == ["erm", "imml", "imml [do]"]
    own, other = (section.clean(row, "mse", "test-iid")[0] for row in section.rows[1:])
    assert own is not None
    assert other == pytest.approx(own - 0.01)


def test_it_is_not_counted_nor_trained_again_nor_drawn_twice(folders: list[Path], tmp_path: Path) -> None:
    page = build_report(folders, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "2 runs." in page
    assert "imml [do]" in page
    (section,) = build_sections(collect_runs(folders).runs)
    made = recipe(section, folders, tmp_path / "page.html")
    assert len(made.runs) == 3
    assert len(set(made.runs)) == 2
    assert {row[0] for figure in learning_figures(section) for row in figure.rows} == {"erm", "imml"}
    assert section_page(0, section, 1000, folders, tmp_path / "page.html", ()).cards[2]["label"] == "imml [do]"


def test_hyper_parameters_are_of_runs_not_of_variants(tmp_path: Path) -> None:
    folders = [with_variant(tmp_path / f"imml-{seed}", seed=seed) for seed in (0, 1)]
    (section,) = build_sections(collect_runs(folders).runs)
    (knob,) = varied_hyperparameters(section)
    assert len(knob.values) == 2


def test_records_of_another_method_are_refused(folders: list[Path]) -> None:
    path = folders[1] / "variants.jsonl"
    path.write_text(path.read_text().replace("imml [do]", "cmir [do]"))
    with pytest.raises(RunError, match=r"holds a record of 'cmir \[do\]', not of 'imml'"):
        collect_runs(folders)


def test_tables_resample_the_predictions_of_the_variant(tmp_path: Path) -> None:
    run = small_run(tmp_path / "imml-0", method={"name": "imml", "predominant": "m1", "predict": "task"})
    run.evaluate()
    (table,) = build_tables([tmp_path / "imml-0"], TableSettings(resamples=50, scenarios=("test-iid",)))
    found = {line.label: line.cells[0] for line in table.lines}
    assert list(found) == ["imml", "imml [do]", "imml [avg]", "imml [z-only]"]
    kept = load_predictions(tmp_path / "imml-0" / "predictions" / "test-iid.npz")
    for name in ("do", "avg", "z-only"):
        expected = np.square(kept.of(name).output[0, 0, :, 0] - kept.target).mean()
        assert found[f"imml [{name}]"].interval.mean == pytest.approx(expected, rel=1e-5)
    save_predictions(tmp_path / "imml-0" / "predictions" / "test-iid.npz", replace(kept, variants={}))
    with pytest.raises(RunError, match="keeps no predictions of the variant 'do'"):
        build_tables([tmp_path / "imml-0"], TableSettings(resamples=50, scenarios=("test-iid",)))

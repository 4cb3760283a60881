"""Who is right where modalities disagree, contributions over the epochs, and two hyper-parameters at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deconfound.evaluation.predictions import Predictions, save_predictions
from deconfound.report import build_report
from deconfound.report.modalities import contribution_figures, disagreement_figures
from deconfound.report.pairs import pair_figures
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from support.fabricate import fabricate

SAID = {"text": [0, 1, 1, 0, 1, 0], "audio": [0, 0, 1, 1, 0, 1], "vision": [0, 1, 1, 0, 1, 0]}
TARGET = [0, 1, 1, 1, 2, 1]


def section_of(folders: list[Path]) -> Section:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return section


def classified(folder: Path, method: str = "erm", seed: int = 0) -> Path:
    """A run that keeps what each modality says by itself about six rows of test-iid."""
    fabricate(folder, method=method, seed=seed, protocol="classification")
    for name, classes in SAID.items():
        output = np.eye(4, dtype=np.float32)[classes][None, None]
        about = (f"present={name}", "{}", "test-iid", False, 0, np.zeros(1), np.arange(6), np.arange(6).astype(str))
        path = folder / "predictions" / f"present={name}.npz"
        save_predictions(path, Predictions(*about, np.array(TARGET), output))
    return folder


def test_disagreements_are_counted_over_all_seeds(tmp_path: Path) -> None:
    folders = [classified(tmp_path / f"erm-{seed}", seed=seed) for seed in (0, 1)]
    (figure,) = disagreement_figures(section_of(folders))
    found = {(row[1], row[2]): row[3:6] for row in figure.rows}
    # text and audio differ in rows 1, 3, 4, 5: text is right in 1, audio in 3 and 5, neither in 4
    assert found["text – audio", "first right"] == (0.25, 2, pytest.approx(4 / 6))
    assert found["text – audio", "second right"][:2] == (0.5, 4)
    assert found["text – audio", "neither"][:2] == (0.25, 2)
    assert not any("text – vision" in key for key in found)


def test_without_such_predictions_there_is_no_figure(tmp_path: Path) -> None:
    assert disagreement_figures(section_of([fabricate(tmp_path / "erm-0")])) == []
    assert contribution_figures(section_of([fabricate(tmp_path / "erm-1")])) == []


def test_contributions_are_drawn_for_the_methods_that_log_them(tmp_path: Path) -> None:
    folders = [
        fabricate(tmp_path / "erm-0"),
        *(fabricate(tmp_path / f"imml-{s}", method="imml", seed=s) for s in (0, 1)),
    ]
    for seed, folder in enumerate(folders[1:]):
        places = [(epoch, name, value) for epoch in (0, 1) for name, value in (("a", 0.2), ("b", 0.0))]
        lines = [f"{9 + 10 * e},{e},train,contribution/{m},{0.1 * e + value + seed}" for e, m, value in places]
        with open(folder / "log.csv", "a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    (figure,) = contribution_figures(section_of(folders))
    assert figure.method == "imml"
    found = [tuple(row) for row in figure.rows]
    assert found == [
        ("a", 0, pytest.approx(0.7), 2), ("a", 1, pytest.approx(0.8), 2),
        ("b", 0, pytest.approx(0.5), 2), ("b", 1, pytest.approx(0.6), 2),
    ]  # fmt: skip


def tried(tmp_path: Path, **values: list[float]) -> list[Path]:
    (first, firsts), (second, seconds) = values.items()
    return [
        fabricate(tmp_path / f"imml-{a}-{b}", method="imml", arguments={first: a, second: b, "bank": 8 + i})
        for i, (a, b) in enumerate((a, b) for a in firsts for b in seconds)
    ]


def test_a_pair_of_weights_is_shown_by_its_validation_result(tmp_path: Path) -> None:
    folders = tried(tmp_path, gamma_dk=[0.1, 1.0], gamma_fd=[0.5, 1.0])
    (figure,) = pair_figures(section_of(folders))
    assert figure.title == "imml: gamma_dk × gamma_fd"
    found = {row[1:3]: row[3:] for row in figure.rows if row[0] == "mse"}
    for folder in folders:
        spec = json.loads((folder / "spec.json").read_text())["method"]
        lines = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
        (value,) = [r["value"] for r in lines if (r["scenario"], r["group"], r["metric"]) == ("valid", "all", "mse")]
        assert found[spec["gamma_dk"], spec["gamma_fd"]] == (pytest.approx(value), 1)
    assert len(found) == 4


def test_fewer_than_four_pairs_are_no_map(tmp_path: Path) -> None:
    assert pair_figures(section_of(tried(tmp_path, gamma_dk=[0.1, 1.0], gamma_fd=[0.5]))) == []


def test_many_values_become_points(tmp_path: Path) -> None:
    (figure,) = pair_figures(section_of(tried(tmp_path, gamma_dk=[0.1 * i for i in range(1, 11)], gamma_fd=[0.5, 1.0])))
    (layer,) = figure.spec["layer"]
    assert layer["mark"]["type"] == "point"


def test_the_page_has_them(tmp_path: Path) -> None:
    folders = [classified(tmp_path / "erm-0"), classified(tmp_path / "cmir-0", "cmir")]
    page = build_report(folders, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Who is right where two disagree" in page

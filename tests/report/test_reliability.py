"""Calibration against loops over rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from deconfound.errors import RunError
from deconfound.evaluation.predictions import load_predictions
from deconfound.report.reliability import calibration
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from support.fabricate import fabricate, fabricate_grid


def section_of(folders: list[Path]) -> Section:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return section


def binned(folders: list[Path], split: str) -> dict[int, list[tuple[float, bool]]]:
    """Bin → (confidence, correct) of each row of each run, one row at a time."""
    found: dict[int, list[tuple[float, bool]]] = {}
    for folder in folders:
        kept = load_predictions(folder / "predictions" / f"{split}.npz")
        for logits, target in zip(kept.output[0, 0].astype(float), kept.target, strict=True):
            confidence = softmax(logits).max()
            number = next(b for b in range(15) if confidence <= (b + 1) / 15)
            found.setdefault(number, []).append((confidence, logits.argmax() == target))
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return fabricate_grid(folder, seeds=2, protocol="classification", predicted=True, modalities=("voice", "face"))


def test_bins_pool_the_rows_of_all_seeds(folders: list[Path]) -> None:
    found = calibration(section_of(folders))
    assert found is not None
    rows = [row for row in found[1].rows if row[:2] == ("erm", "test-flip")]
    oracle = binned(folders[:2], "test-flip")
    assert len(rows) == len(oracle)
    for (_, _, confidence, correct, share, count), number in zip(rows, sorted(oracle), strict=True):
        assert count == len(oracle[number])
        assert confidence == pytest.approx(np.mean([sure for sure, _ in oracle[number]]))
        assert correct == pytest.approx(np.mean([right for _, right in oracle[number]]))
        assert share == pytest.approx(count / 800)


def test_the_error_is_a_mean_over_seeds(folders: list[Path]) -> None:
    found = calibration(section_of(folders))
    assert found is not None
    table = found[0]
    assert [column.title for column in table.columns] == ["test-iid", "test-flip", "test-zero"]
    errors = []
    for folder in folders[:2]:
        bins = binned([folder], "test-iid").values()
        errors.append(sum(abs(sum(sure - right for sure, right in rows)) for rows in bins) / 400)
    assert table.lines[0].label == "erm"
    assert table.lines[0].cells[0].value == pytest.approx(np.mean(errors))
    assert table.lines[0].cells[0].sd == pytest.approx(np.std(errors, ddof=1))
    assert (table.lines[0].cells[0].value or 0) > (table.lines[1].cells[0].value or 0)  # erm is made overconfident


def test_regression_and_runs_without_predictions_have_none(tmp_path: Path) -> None:
    assert calibration(section_of([fabricate(tmp_path / "a", predicted=True)])) is None
    assert calibration(section_of([fabricate(tmp_path / "b", protocol="classification")])) is None


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a", protocol="classification", predicted=True)
    (folder / "predictions" / "test-iid.npz").write_bytes(b"no")
    with pytest.raises(RunError, match=r"test-iid.npz is damaged"):
        calibration(section_of([folder]))

"""What a block of features is worth: by hand for a method that adds up its inputs, and from command to report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deconfound.attribution.masking import FILE, masked_losses
from deconfound.cli import app as cli
from deconfound.errors import RunError
from deconfound.report import build_report
from deconfound.report.modalities import masked_figures
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from support.small import small_run
from support.toy import Toy, rows


def test_a_masked_feature_is_at_its_mean() -> None:
    """`Toy` predicts the sum of all values."""
    dataset, method = rows(80), Toy()
    found = masked_losses(method, dataset)
    valid = dataset.rows("valid")
    cut = slice(valid.start, valid.stop)
    text, audio = dataset.signals["text"], dataset.signals["audio"]
    sums = (text.values[cut].flatten(1).sum(1) + audio.values[cut].flatten(1).sum(1)).numpy()
    target = dataset.target[cut].numpy()
    score = -np.abs(sums - target).mean()
    assert (found["measure"], found["rows"]) == ("-mae", 20)
    assert found["score"] == pytest.approx(score, rel=1e-5)
    one = audio.values[cut, 0, 1].numpy()
    assert found["losses"]["audio"][1]["loss"] == pytest.approx(
        score + np.abs(sums - one + one.mean() - target).mean(), abs=1e-4
    )
    first, mask = text.values[cut, :, 0].numpy(), text.mask[cut].numpy()
    changed = sums - first.sum(1) + first[mask].mean() * mask.sum(1)
    assert found["losses"]["text"][0]["loss"] == pytest.approx(score + np.abs(changed - target).mean(), abs=1e-4)
    assert max(int(batch.ids.max()) for batch in method.seen) < valid.stop


def test_many_features_are_masked_in_blocks() -> None:
    found = masked_losses(Toy(), rows(40), blocks=2)
    assert [(b["first"], b["last"]) for b in found["losses"]["audio"]] == [(0, 1), (2, 2)]


def test_the_command_writes_what_the_report_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = small_run(tmp_path / "erm-0")
    run.evaluate()
    with pytest.raises(SystemExit) as end:
        cli.main(["predominance", str(run.path), "--mask"])
    assert end.value.code == 0, capsys.readouterr().err
    (section,) = build_sections([read_run(run.path)])
    (figure,) = masked_figures(section)
    assert {row[0] for row in figure.rows} == set(run.modalities)
    assert "masked features" in build_report([run.path], tmp_path / "page.html").read_text(encoding="utf-8")
    given = json.loads((run.path / FILE).read_text())
    (run.path / FILE).write_text(json.dumps(given | {"best_risk": -1.0}))
    assert masked_figures(section) == []
    (run.path / FILE).write_text(json.dumps({key: value for key, value in given.items() if key != "losses"}))
    with pytest.raises(RunError, match=r"masked\.json is damaged"):
        masked_figures(section)

"""A run on several labels a row: from training to evaluation, table, report and predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import f1_score
from typer.testing import CliRunner

import deconfound as dc
from deconfound.cli.app import app
from deconfound.data.shift import shift_split
from deconfound.data.store import save
from deconfound.diagnostics.diagnose import diagnose
from deconfound.errors import DataError, SpecError
from deconfound.evaluation.criterion import validation_score
from deconfound.runs.ensemble import mean_output
from deconfound.runs.evaluate_posthoc import evaluate_posthoc
from deconfound.runs.last_layer import retrain_last_layer
from deconfound.training.train import train_run

NAMES = ["calm", "happy", "sad"]
FAST: dict[str, Any] = {"epochs": 12, "learning_rate": 0.02, "accelerator": "cpu", "threads": 1}


def people(rows: int = 200) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(rows, 3))
    columns = {name: (values[:, place] > 0.2).astype(int) for place, name in enumerate(NAMES)}
    inputs = {f"x{place}": values[:, place] for place in range(3)}
    return pd.DataFrame(
        {**inputs, "y": draw.normal(size=rows), "speaker": [f"s{row % 8}" for row in range(rows)], **columns}
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dc.Run:
    folder = tmp_path_factory.mktemp("multilabel")
    data = dc.dataset(people(), target=NAMES, x=["x0", "x1", "x2"], y="y", environment="speaker", quiet=True)
    save(data, folder / "store")
    method = {"name": "erm", "penalties": {"vrex": {"weight": 0.1}}, "augmentations": {"mixup": {}}}
    spec = dc.Spec.of({"method": method, "train": FAST, "data": {"store": str(folder / "store")}})
    run = train_run(spec, folder / "run", progress=False)
    run.evaluate()
    return run


def test_records_are_those_of_the_kept_predictions(run: dc.Run) -> None:
    records = (
        run.records().query("split == 'test' and scenario == 'test' and group == 'all'").set_index("metric")["value"]
    )
    assert set(records.index) == {"label-macro-f1", "label-micro-f1", "map", "subset-accuracy", "hamming-loss"}
    data = run.dataset()
    test = data.batch("test")
    frame = run.predict(data).loc[[str(data.columns["id"].values[int(row)]) for row in test.ids]]
    predicted = np.stack([[name in row.split("|") for name in NAMES] for row in frame["prediction"]])
    expected = f1_score(test.target.numpy(), predicted, average="macro", zero_division=np.nan)
    assert records["label-macro-f1"] == pytest.approx(expected)
    assert expected > 0.8


@pytest.mark.filterwarnings("ignore::deconfound.prediction.rows.TargetNote")
def test_predictions_have_a_probability_for_each_label(run: dc.Run, tmp_path: Path) -> None:
    new = people().head(6)
    shares = run.predict_proba(new)
    assert list(shares.columns) == NAMES
    frame = run.predict(new)
    assert list(frame.columns) == ["prediction", *(f"p_{name}" for name in NAMES)]
    for row, text in zip(shares.itertuples(index=False), frame["prediction"], strict=True):
        assert text == "|".join(name for name, p in zip(NAMES, row, strict=True) if p >= 0.5)
    line = {"id": "a", "x": [2.0, -2.0, 2.0], "y": [0.0], "calm": 1}
    (tmp_path / "rows.jsonl").write_text(json.dumps(line))
    result = CliRunner().invoke(app, ["predict", str(run.path), str(tmp_path / "rows.jsonl"), "--json"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["prediction"] == "calm|sad"
    assert set(printed["probabilities"]) == set(NAMES)
    result = CliRunner().invoke(app, ["predict", str(run.path), str(tmp_path / "rows.jsonl")])
    assert result.stdout.splitlines()[0] == "id,prediction,p_calm,p_happy,p_sad"


def test_tables_and_reports_are_made(run: dc.Run, tmp_path: Path) -> None:
    runner = CliRunner()
    table = runner.invoke(app, ["table", str(run.path), "--metric", "map", "--metric", "label-ece"])
    assert table.exit_code == 0, table.output
    assert "map" in table.stdout
    report = runner.invoke(app, ["report", str(run.path), "--out", str(tmp_path / "report.html")])
    assert report.exit_code == 0, report.output
    assert "label-macro-f1" in (tmp_path / "report.html").read_text()


def test_what_needs_one_label_says_so(run: dc.Run) -> None:
    with pytest.raises(DataError, match="a diagnosis needs one label a row, and the task has 3"):
        diagnose(run)
    from deconfound.attribution.contributions import contributions_of_data
    from deconfound.runs.infer_environments import infer_environments

    for call in (lambda: contributions_of_data(run.dataset()), lambda: infer_environments(run)):
        with pytest.raises(DataError, match="needs one label a row"):
            call()


def test_what_is_made_after_training_needs_one_label_too(run: dc.Run, tmp_path: Path) -> None:
    scenarios = [dc.Scenario("test", "test")]
    for options in ({"calibrate": "temperature"}, {"prior": "uniform"}, {"level": 0.9}):
        with pytest.raises(DataError, match="needs one label a row, and the task has 3"):
            evaluate_posthoc(run, scenarios, **options)
    with pytest.raises(DataError, match="a last layer of balanced rows needs one label a row"):
        retrain_last_layer(run, tmp_path / "again", balance="group")
    data = run.dataset()
    with pytest.raises(DataError, match="directed-noise needs one label a row"):
        dc.fit(data, {"name": "erm", "augmentations": {"directed-noise": {}}}, out=tmp_path / "noise", train=FAST)
    with pytest.raises(SpecError, match=r"train.balance = 'class' needs classes, one a row, and .* is a multilabel"):
        dc.fit(data, "erm", out=tmp_path / "balance", train={**FAST, "balance": "class"})
    assert not any(tmp_path.iterdir())


def test_an_ensemble_has_the_mean_probability_of_each_label() -> None:
    logits = 3 * torch.randn(4, 7, 3, dtype=torch.float64)
    mean = mean_output(dc.Task.multilabel(tuple(NAMES)), list(logits))
    torch.testing.assert_close(mean.sigmoid(), logits.sigmoid().mean(0))


def test_the_calibrated_risk_is_the_least_over_one_temperature() -> None:
    task, draw = dc.Task.multilabel(tuple(NAMES)), np.random.default_rng(0)
    output, target = 4 * draw.normal(size=(60, 3)), draw.integers(2, size=(60, 3)).astype(np.float32)
    risks = [
        float(task.risk(torch.from_numpy(output / t), torch.from_numpy(target)).mean())
        for t in np.exp(np.linspace(-2, 8, 4001))
    ]
    assert validation_score("calibrated-risk", 1.0, output, target, task, 0.0) == pytest.approx(min(risks), abs=1e-5)


def test_sets_of_labels_keep_their_places_in_a_shifted_split(run: dc.Run) -> None:
    data = run.dataset()
    shifted, report = shift_split(data, "features:x", correlation=0.5)
    assert report.after <= 0.5 < report.before
    before, after = (d.target[list(d.rows("test"))].unique(dim=0, return_counts=True) for d in (data, shifted))
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))

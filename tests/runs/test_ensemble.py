"""Ensembles: one model of several runs, checked against the mean of what its members predict."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

import deconfound as dc
from deconfound.cli.app import app
from deconfound.data.task import Task
from deconfound.diagnostics.diagnose import diagnose
from deconfound.errors import RunError
from deconfound.runs.ensemble import mean_output
from deconfound.runs.run import Run
from deconfound.training.cost import measure_cost
from support.small import FAST, small_data, small_run

SCENARIO = dc.Scenario("test-iid", "test-iid")
CLASSES = dc.synthetic(rows=64, task="classification")

pytestmark = pytest.mark.filterwarnings("ignore::deconfound.training.best_epoch.EpochWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ensembles")


@pytest.fixture(scope="module")
def runs(folder) -> list[Run]:
    return [small_run(folder / f"erm-{seed}", seed=seed) for seed in (3, 4, 5)]


@pytest.fixture(scope="module")
def joined(folder, runs) -> Run:
    return dc.ensemble(runs, folder / "joined")


def classifier(out: Path, method: str, seed: int) -> Run:
    return dc.fit(CLASSES, method, out=out, seed=seed, train=FAST, backbone={"hidden": 8})


def test_a_regression_is_the_mean_of_the_predictions(runs, joined):
    expected = np.mean([run.predict(small_data())["prediction"] for run in runs], axis=0)
    np.testing.assert_allclose(joined.predict(small_data())["prediction"], expected, rtol=1e-5, atol=1e-6)


def test_a_classification_is_the_mean_of_the_probabilities_whatever_the_methods(folder):
    methods = ("erm", "qmf")
    pair = [classifier(folder / f"{name}-c", name, number) for number, name in enumerate(methods)]
    run = dc.ensemble(pair, folder / "pair", dataset=CLASSES)
    assert run.spec.title == "erm + qmf"
    expected = np.mean([member.predict_proba(CLASSES) for member in pair], axis=0)
    np.testing.assert_allclose(run.predict_proba(CLASSES), expected, atol=1e-6)


def test_extreme_logits_stay_finite():
    outputs = [torch.tensor([[200.0, -200.0]]), torch.tensor([[-300.0, 300.0]])]
    mean = mean_output(Task.classification(("a", "b")), outputs)
    assert torch.isfinite(mean).all()
    np.testing.assert_allclose(softmax(mean.numpy(), axis=1), [[0.5, 0.5]], atol=1e-6)


def test_it_is_evaluated_tabulated_and_reported_as_one_run(folder, runs, joined, capsys):
    table = dc.evaluate([*runs, joined], [SCENARIO])
    mine = table[(table["run"] == "joined") & (table["metric"] == "mse") & (table["group"] == "all")]
    assert mine["method"].tolist() == ["erm ×3"]
    target = small_data().batch("test-iid").target.numpy()
    members = np.mean([run.method()(small_data().batch("test-iid")).detach().numpy()[:, 0] for run in runs], axis=0)
    np.testing.assert_allclose(mine["value"], ((members - target) ** 2).mean(), rtol=1e-4)
    paths = [str(run.path) for run in (*runs, joined)]
    app(["table", *paths, "--scenario", "test-iid", "--show", "difference"], standalone_mode=False)
    assert "erm ×3" in capsys.readouterr().out
    app(["report", *paths, "--out", str(folder / "report.html")], standalone_mode=False)
    assert "erm ×3" in (folder / "report.html").read_text(encoding="utf-8")


def test_its_validation_risk_is_that_of_the_mean(joined):
    valid = small_data().batch("valid")
    with torch.no_grad():
        risk = joined.task.risk(joined.method()(valid), valid.target).mean()
    assert joined.done is not None
    assert joined.done["best_risk"] == pytest.approx(float(risk), rel=1e-4)
    assert not (joined.path / "test_access.jsonl").exists() or "valid" not in (
        joined.path / "test_access.jsonl"
    ).read_text(encoding="utf-8")


def test_a_second_call_returns_it_and_other_members_are_refused(folder, runs, joined):
    assert dc.ensemble(runs, joined.path).path == joined.path
    with pytest.raises(RunError, match="is an ensemble of other runs"):
        dc.ensemble(runs[:2], joined.path)
    with pytest.raises(RunError, match="not 'best of'"):
        dc.ensemble(runs, joined.path, name="best of")


def test_what_does_not_belong_together_is_refused(folder, runs, joined, tmp_path):
    other = small_run(folder / "other", data={"synthetic": {"rows": 80}})
    fewer = small_run(folder / "fewer", data={"synthetic": {"rows": 64}, "modalities": ["m1"]})
    grouped = small_run(folder / "grouped", data={"synthetic": {"rows": 64}, "leave_out": "environment=e1"})
    shutil.copytree(runs[0].path, folder / "twin", dirs_exist_ok=True)
    for members, message in (
        ([runs[0]], "two or more runs"),
        ([runs[0], other], "other data"),
        ([runs[0], fewer], "trained on m1"),
        ([runs[0], grouped], "data.leave_out"),
        ([runs[0], folder / "twin"], "the same weights as erm-3"),
        ([runs[0], joined], "an ensemble itself"),
    ):
        with pytest.raises(RunError, match=message):
            dc.ensemble(members, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_a_changed_member_is_refused(folder, runs, joined, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(joined.path, copy)
    weights = "checkpoints/best.safetensors"
    shutil.copyfile(copy / "members/erm-4" / weights, copy / "members/erm-3" / weights)
    with pytest.raises(RunError, match="checksums differ"):
        Run.open(copy).method()
    named = json.loads((copy / "ensemble.json").read_text())
    named["members"][0]["name"] = "../erm-3"
    (copy / "ensemble.json").write_text(json.dumps(named))
    with pytest.raises(RunError, match=r"ensemble.json is damaged"):
        Run.open(copy).method()


def test_what_needs_one_model_names_a_member(joined):
    with pytest.raises(RunError, match=r"give a member: .*members/erm-3"):
        diagnose(joined)
    with pytest.raises(RunError, match="needs one model"):
        measure_cost(joined)
    assert Run.open(joined.path / "members" / "erm-3").method() is not None


def test_embeddings_are_those_of_all_members_side_by_side(runs, joined):
    widths = [run.embed(small_data()).shape[1] for run in runs]
    assert joined.embed(small_data()).shape[1] == sum(widths)


def test_the_command_line_makes_one(folder, runs, capsys):
    out = folder / "by-command"
    app(["ensemble", *(str(run.path) for run in runs), "--out", str(out), "--json"], standalone_mode=False)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["run"], printed["epochs"]) == (str(out), 3)

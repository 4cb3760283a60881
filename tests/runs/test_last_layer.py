"""Retraining the last layer: only it changes, rare groups gain, and neither test nor validation rows are fitted."""

import json

import numpy as np
import pytest
import torch

import deconfound as dc
from deconfound.cli.app import app
from deconfound.data.store import save
from deconfound.errors import DataError, RunError, SpecError
from deconfound.runs.last_layer import last_layer, retrain_last_layer
from deconfound.runs.predict_posthoc import predict_posthoc
from support.small import FAST, small_data, small_run

pytestmark = pytest.mark.filterwarnings("ignore::deconfound.training.best_epoch.EpochWarning")


def spurious() -> dc.Dataset:
    """A clear sign that follows the label in 90 % of the training rows and a weak cause; the test has it in half."""
    rng = np.random.default_rng(0)
    split = np.array(["train"] * 600 + ["valid"] * 200 + ["test"] * 400)
    label = rng.integers(0, 2, 1200)
    agree = rng.uniform(size=1200) < np.where(split == "test", 0.5, 0.9)
    sign = np.where(agree, label, 1 - label)
    frame = {
        "label": label.astype(str),
        "sign": sign.astype(str),
        "split": split,
        "cause": [*(label[:, None] + 0.6 * rng.normal(size=(1200, 2)))],
        "shortcut": [*(sign[:, None] + 0.1 * rng.normal(size=(1200, 2)))],
    }
    columns = {"cause": "cause", "shortcut": "shortcut"}
    return dc.dataset(frame, target="label", environment="sign", modalities=columns, quiet=True)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[dc.Run, dc.Run, dc.Dataset]:
    folder, data = tmp_path_factory.mktemp("dfr"), spurious()
    run = dc.fit(data, "erm", out=folder / "erm", train={**FAST, "epochs": 20}, backbone={"hidden": 16})
    return run, retrain_last_layer(run, folder / "dfr", balance="class-and-group", dataset=data), data


def accuracy(run: dc.Run, data: dc.Dataset) -> float:
    table = dc.evaluate(run, [dc.Scenario("test", "test")], dataset=data)
    return float(table[(table["metric"] == "accuracy") & (table["group"] == "all")]["value"].iloc[0])


def test_balanced_rows_take_the_shortcut_away(pair):
    run, retrained, data = pair
    assert retrained.spec.title == "erm + dfr"
    assert accuracy(retrained, data) > accuracy(run, data) + 0.02


def test_only_the_last_layer_changes_and_the_risk_is_that_of_the_validation_rows(pair):
    run, retrained, data = pair
    before, after = run.method(), retrained.method()
    layer = last_layer(after)
    changed = {name for name, value in after.state_dict().items() if not torch.equal(value, before.state_dict()[name])}
    own = {name for name, value in after.named_parameters() if value is layer.weight or value is layer.bias}
    assert changed == own
    with torch.no_grad():
        valid = data.batch("valid")
        risk = float(data.task.risk(after(valid), valid.target).mean())
    assert retrained.done is not None
    assert retrained.done["best_risk"] == pytest.approx(risk, rel=1e-4)
    assert not (retrained.path / "test_access.jsonl").exists() or "valid" not in (
        retrained.path / "test_access.jsonl"
    ).read_text(encoding="utf-8")


def test_it_has_learnt_equal_shares_of_the_classes(pair):
    _, retrained, data = pair
    plain = retrained.predict_proba(data)
    uniform = predict_posthoc(retrained, data, prior="uniform")[["p_0", "p_1"]]
    np.testing.assert_allclose(uniform, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("averaging", [None, "ema"])
def test_a_regression_and_averaged_weights_have_one_too(tmp_path, averaging):
    run = small_run(tmp_path / "run", train={**FAST, "epochs": 10, "averaging": averaging})
    retrained = retrain_last_layer(run, tmp_path / "dfr", balance="group")
    target = small_data().batch("train").target.numpy()
    rows = slice(0, len(target))
    errors = [
        float(((r.predict(small_data())["prediction"].to_numpy()[rows] - target) ** 2).mean()) for r in (run, retrained)
    ]
    assert errors[1] < errors[0]  # three epochs leave the last layer far from the least squares


@pytest.mark.parametrize(
    ("arguments", "changes", "error", "message"),
    [
        ({"balance": "class"}, {}, SpecError, "needs classes"),
        ({"balance": "group"}, {"backbone": {"hidden": 8, "fusion": "late"}}, RunError, "predicts by itself"),
        ({"balance": "group"}, {"data": {"synthetic": {"rows": 64, "rho": [0.5]}}}, DataError, "of one environment"),
    ],
)
def test_what_cannot_be_retrained_is_refused(tmp_path, arguments, changes, error, message):
    run = small_run(tmp_path / "run", **changes)
    with pytest.raises(error, match=message):
        retrain_last_layer(run, tmp_path / "dfr", **arguments)
    assert not (tmp_path / "dfr").exists()


class Doubled(dc.Method):
    """Predicts twice what its head makes."""

    def __init__(self, backbone: dc.Backbone) -> None:
        super().__init__(backbone)

    def forward(self, batch: dc.Batch) -> torch.Tensor:
        return 2 * self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: dc.Batch, progress: float, generator: torch.Generator) -> dc.Loss:
        features = self.backbone.encode(batch)
        output = 2 * self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        return dc.Loss(risks.mean(), {"prediction": risks.mean()}, risks, features, output)


def test_a_method_that_predicts_otherwise_is_refused(tmp_path):
    run = dc.fit(small_data(), Doubled, out=tmp_path / "run", train=FAST)
    with pytest.raises(RunError, match="does not predict by the last layer"):
        retrain_last_layer(run, tmp_path / "dfr", balance="group", dataset=small_data())
    assert not (tmp_path / "dfr").exists()


def test_a_folder_with_files_stays_as_it_is(tmp_path):
    run = small_run(tmp_path / "run")
    with pytest.raises(RunError, match="is not empty"):
        retrain_last_layer(run, run.path, balance="group")


def test_the_command_line_makes_one(tmp_path, capsys):
    save(small_data(), tmp_path / "store")
    run = small_run(tmp_path / "run", data={"store": str(tmp_path / "store")})
    words = ["retrain", str(run.path), "--balance", "group", "--out", str(tmp_path / "dfr"), "--json"]
    app(words, standalone_mode=False)
    assert "each group" in json.loads(capsys.readouterr().out)["notes"][-1]

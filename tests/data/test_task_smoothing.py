"""Label smoothing against the formula, and in training alone."""

import pytest
import torch

import deconfound as dc
from deconfound.data.task import Task
from deconfound.errors import DataError
from support.small import FAST

CLASSES = dc.synthetic(rows=64, task="classification")


def test_the_risk_is_the_weighted_mean_over_all_classes():
    torch.manual_seed(0)
    logits, target = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    smooth = Task("classification", ("a", "b", "c"), "cross-entropy", "classification", 0.3)
    risks = -logits.log_softmax(1)
    expected = 0.7 * risks[range(5), target] + 0.3 * risks.mean(1)
    torch.testing.assert_close(smooth.risk(logits, target), expected)


def test_it_is_of_classes_and_below_one():
    with pytest.raises(DataError, match="labels of a regression cannot be smoothed"):
        Task("regression", smoothing=0.1)
    with pytest.raises(DataError, match="smoothed by 1"):
        Task("classification", ("a", "b"), "cross-entropy", "classification", 1.0)


@pytest.mark.filterwarnings("ignore::deconfound.training.best_epoch.EpochWarning")
def test_training_is_smoothed_and_validation_is_not(tmp_path):
    runs = [
        dc.fit(
            CLASSES, "erm", out=tmp_path / f"{smoothing}", train={**FAST, "epochs": 30, "label_smoothing": smoothing}
        )
        for smoothing in (0.0, 0.5)
    ]
    sharpness = [run.predict_proba(CLASSES).to_numpy().max(axis=1).mean() for run in runs]
    assert sharpness[1] < sharpness[0]
    valid = CLASSES.batch("valid")
    with torch.no_grad():
        risk = CLASSES.task.risk(runs[1].method()(valid), valid.target).mean()
    assert runs[1].done is not None
    assert float(risk) == pytest.approx(runs[1].done["best_risk"], rel=1e-4)
    assert runs[1].task == CLASSES.task


def test_a_regression_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match="cannot be smoothed"):
        dc.fit(dc.synthetic(rows=64), "erm", out=tmp_path / "run", train={**FAST, "label_smoothing": 0.1})
    assert not (tmp_path / "run").exists()

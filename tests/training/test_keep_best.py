"""The epoch whose weights predict, by every criterion and after every warm-up; a killed run goes on with it."""

import math
from pathlib import Path

import numpy as np
import pytest

import deconfound as dc
from deconfound.evaluation.criterion import validation_score
from deconfound.methods.cmir import CmIR
from deconfound.runs.csv_log import read_log
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec
from deconfound.training.train import train_run
from support.killing import killed_and_resumed
from support.small import FAST, small_run, small_spec

pytestmark = [
    pytest.mark.filterwarnings("ignore::deconfound.training.best_epoch.EpochWarning"),
    pytest.mark.filterwarnings("ignore::deconfound.nn.collapse.CollapseWarning"),  # the rate of one test is absurd
]
TRAIN = {**FAST, "epochs": 8, "patience": 100}


def logged(run: Run, term: str) -> list[float]:
    return [row["value"] for row in read_log(run.path / "log.csv") if f"{row['split']}/{row['term']}" == term]


@pytest.mark.parametrize("criterion", ["calibrated-risk", "metric"])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_the_kept_weights_have_the_least_score(tmp_path: Path, task: str, criterion) -> None:
    data = {"synthetic": {"rows": 64, "task": task}}
    run = small_run(tmp_path / "r", data=data, train={**TRAIN, "criterion": criterion, "learning_rate": 0.02})
    assert run.done is not None
    scores = logged(run, "valid/score")
    assert run.done["score"] == min(scores)
    assert run.done["best_epoch"] == max(epoch for epoch, score in enumerate(scores) if score == min(scores))
    assert run.done["best_risk"] == logged(run, "valid/risk")[run.done["best_epoch"]]
    dataset = run.dataset()
    valid, rows = dataset.batch("valid"), dataset.batch("train")
    output = run.method()(valid).detach().numpy()
    centre = float(rows.target.double().mean())
    again = validation_score(criterion, 0.0, output, np.asarray(valid.target), dataset.task, centre)
    assert run.done["score"] == pytest.approx(again, rel=1e-4, abs=1e-5)


def test_the_score_of_the_risk_is_the_risk_and_is_logged_once(tmp_path: Path) -> None:
    run = small_run(tmp_path / "r", train={**TRAIN, "criterion": "risk"})
    assert run.done is not None
    assert run.done["score"] == run.done["best_risk"] == min(logged(run, "valid/risk"))
    assert logged(run, "valid/score") == []


def test_a_window_smooths_the_score(tmp_path: Path) -> None:
    train = {**TRAIN, "criterion": "risk", "window": 3, "learning_rate": 0.05}
    run = small_run(tmp_path / "r", train=train)
    assert run.done is not None
    risks = logged(run, "valid/risk")
    means = [math.fsum(risks[e - 2 : e + 1]) / 3 for e in range(2, len(risks))]
    assert run.done["best_epoch"] == 2 + int(np.argmin(means))
    assert run.done["score"] == pytest.approx(min(means))


LATE = [
    ({"name": "cmir", "ramp": 0.6}, 5),
    ({"name": "erm", "penalties": {"vrex": {"ramp": 0.5}}}, 4),
    ({"name": "erm", "penalties": {"vrex": {"ramp": 0.5, "weight": 0.0}}}, 0),
    ({"name": "imml-robust", "warmup": 6}, 6),
    ({"name": "imml-robust", "warmup": 6, "predominant": "m1"}, 0),
    ({"name": "predominant-head", "warmup": 4}, 4),
    ({"name": "gradient-blending", "every": 3}, 3),
    ({"name": "cmir", "ramp": 0.1, "inner": {"name": "predominant-head", "warmup": 5}}, 5),
    ({"name": "pmr", "entropy_until": 0.5}, 4),
    ({"name": "cmir-e", "ramp": 0.25}, 2),
]


@pytest.mark.parametrize(("method", "first"), LATE, ids=[f"{m['name']}-{first}" for m, first in LATE])
def test_no_epoch_before_the_end_of_a_warm_up_is_kept(tmp_path: Path, method: dict, first: int) -> None:
    """At a rate at which every epoch makes validation worse, the first that may be kept is kept, and patience begins there."""
    train = {**FAST, "epochs": 8, "patience": 1, "learning_rate": 3.0, "clip": 1e3, "criterion": "risk"}
    spec = Spec.of({"method": method, "data": {"synthetic": {"rows": 120}}, "backbone": {"hidden": 8}, "train": train})
    run = train_run(spec, tmp_path / "r", progress=False)
    assert run.done is not None
    assert run.done["best_epoch"] >= first
    risks = logged(run, "valid/risk")
    assert len(risks) > first
    assert run.done["best_risk"] == min(risks[first:])


def test_a_robust_run_that_is_kept_has_decided(tmp_path: Path) -> None:
    data = dc.synthetic(rows=120)
    run = dc.fit(
        data, "imml-robust", out=tmp_path / "r", backbone={"hidden": 8}, train={**FAST, "epochs": 6, "patience": 1}
    )
    assert bool(run.method().state_dict()["inner.inner.predominant.decided"])


def test_a_killed_run_keeps_what_an_undisturbed_one_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = {**TRAIN, "criterion": "metric", "window": 2, "patience": 2}
    spec = small_spec(train=train, method="cmir")
    again, _ = killed_and_resumed(spec, CmIR, tmp_path, monkeypatch)
    whole = Run.open(tmp_path / "whole")
    assert {**(again.done or {}), "seconds": 0} == {**(whole.done or {}), "seconds": 0}
    assert (again.path / "log.csv").read_text() == (whole.path / "log.csv").read_text()

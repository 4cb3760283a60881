"""What is changed of a run afterwards: calibrated probabilities, another prior, intervals and sets."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

import deconfound as dc
from deconfound.cli.app import app, main
from deconfound.data.store import save
from deconfound.errors import DataError, RunError, SpecError
from deconfound.evaluation.predictions import load_predictions
from deconfound.evaluation.records import read_records
from deconfound.metrics.ece import ECE
from deconfound.runs.evaluate_posthoc import evaluate_posthoc
from deconfound.runs.posthoc import fit_adjustment, validation_predictions
from deconfound.runs.predict_posthoc import predict_posthoc
from deconfound.runs.regions import REGIONS, fit_region
from deconfound.runs.run import Run
from support.small import FAST

pytestmark = pytest.mark.filterwarnings("ignore::deconfound.training.best_epoch.EpochWarning")
CLASSES = dc.synthetic(rows=320, task="classification")
NUMBERS = dc.synthetic(rows=320)
TEST = [dc.Scenario("test-iid", "test-iid")]


def trained(folder: Path, data: dc.Dataset, **train: object) -> Run:
    save(data, folder / "store")
    spec = {"method": "erm", "data": {"store": str(folder / "store")}, "backbone": {"hidden": 16}}
    return dc.train_run(dc.Spec.of({**spec, "train": {**FAST, "epochs": 12, **train}}), folder / "run", progress=False)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory) -> Run:
    return trained(tmp_path_factory.mktemp("classifier"), CLASSES, learning_rate=0.01, keep="last")


@pytest.fixture(scope="module")
def regressor(tmp_path_factory) -> Run:
    return trained(tmp_path_factory.mktemp("regressor"), NUMBERS)


def test_a_temperature_lowers_the_validation_risk_and_keeps_the_classes(classifier):
    adjustment = fit_adjustment(classifier, "temperature")
    valid = validation_predictions(classifier)
    changed, rows = adjustment.change(valid.output[0, 0]), np.arange(len(valid.target))
    before, after = (-log_softmax(x, axis=1)[rows, valid.target].mean() for x in (valid.output[0, 0], changed))
    assert after < before
    assert ECE().value(changed, valid.target) < ECE().value(valid.output[0, 0], valid.target)
    assert (changed.argmax(axis=1) == valid.output[0, 0].argmax(axis=1)).all()
    assert "temperature" in adjustment.note


def test_a_prior_moves_the_probabilities_as_bayes_says(classifier):
    counts = np.bincount(CLASSES.batch("train").target, minlength=3) + 0.5
    given = {"y1": 0.6, "y2": 0.3, "y3": 0.1}
    plain = classifier.predict_proba(CLASSES).to_numpy()
    expected = plain * np.array([0.6, 0.3, 0.1]) / (counts / counts.sum())
    table = predict_posthoc(classifier, CLASSES, prior=given)
    np.testing.assert_allclose(
        table[["p_y1", "p_y2", "p_y3"]], expected / expected.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        predict_posthoc(classifier, CLASSES, prior="train")[["p_y1", "p_y2", "p_y3"]], plain, rtol=1e-4, atol=1e-6
    )


def test_batches_of_equal_classes_have_taught_equal_shares(tmp_path):
    run = trained(tmp_path, CLASSES, balance="class")
    plain = run.predict_proba(CLASSES)
    uniform = predict_posthoc(run, CLASSES, prior="uniform")[["p_y1", "p_y2", "p_y3"]]
    np.testing.assert_allclose(uniform, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("weights", ["balanced", {"y1": 3.0, "y3": 0.5}])
def test_weights_of_classes_have_moved_the_learnt_shares(tmp_path, weights):
    run = trained(tmp_path, CLASSES, class_weight=weights)
    rows = CLASSES.rows("train")
    counts = CLASSES.target[rows.start : rows.stop].bincount().double().numpy()
    factor = 1 / counts if weights == "balanced" else np.array([3.0, 1.0, 0.5])
    learnt = counts * factor / (counts * factor).sum()
    plain = run.predict_proba(CLASSES).to_numpy() / learnt
    uniform = predict_posthoc(run, CLASSES, prior="uniform")[["p_y1", "p_y2", "p_y3"]]
    np.testing.assert_allclose(
        uniform, plain / plain.sum(1, keepdims=True), rtol=0.03, atol=1e-3
    )  # shares are smoothed


def test_an_evaluation_shows_the_variant_beside_the_run(classifier, tmp_path):
    records = evaluate_posthoc(classifier, TEST, calibrate="temperature", prior="uniform", level=0.9)
    names = {record.method for record in records}
    assert names == {"erm", "erm [temperature, prior=uniform]"}
    kept = load_predictions(classifier.path / "predictions" / "test-iid.npz")
    change = fit_adjustment(classifier, "temperature", "uniform").change
    np.testing.assert_allclose(kept.of("temperature, prior=uniform").output[0, 0], change(kept.output[0, 0]), rtol=1e-5)
    assert {record.method for record in read_records(classifier.path / "records.jsonl")} == {"erm"}
    evaluate_posthoc(classifier, TEST, calibrate="isotonic")
    assert set(load_predictions(classifier.path / "predictions" / "test-iid.npz").variants) == {
        "temperature, prior=uniform",
        "isotonic",
    }


@pytest.mark.parametrize("by", [(), ("environment",)])
def test_coverage_and_size_are_what_the_predictions_say(classifier, regressor, by):
    for run, data in ((classifier, CLASSES), (regressor, NUMBERS)):
        evaluate_posthoc(run, TEST, level=0.8, by=by)
        ending = "@0.8" + (" by environment" if by else "")
        records = {
            (r.group, r.metric): r
            for r in read_records(run.path / REGIONS)
            if r.metric.endswith(ending) and r.method == "erm"
        }
        rows = data.rows("test-iid")
        numbers, names = data.groups("environment")
        groups = [names[n] for n in numbers[rows.start : rows.stop]]
        held, size = by_hand(run, data, by, groups)
        small = "width" if run is regressor else "set-size"
        assert records["all", f"coverage{ending}"].value == pytest.approx(held.mean())
        assert records["all", f"{small}{ending}"].value == pytest.approx(size.mean(), rel=1e-5)
        shares = {g: held[np.array(groups) == g].mean() for g in set(groups)}
        assert records["worst(environment)", f"coverage{ending}"].value == pytest.approx(min(shares.values()))


def by_hand(run: Run, data: dc.Dataset, by: tuple[str, ...], groups: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Whether each test row is covered, and how large its region is, by loops."""
    region = fit_region(run, 0.8, by)
    test = load_predictions(run.path / "predictions" / "test-iid.npz")
    held, size = [], []
    for row, group in enumerate(groups):
        threshold = region.by_group.get(group, region.threshold) if by else region.threshold
        output, label = test.output[0, 0, row], test.target[row]
        if run.task.kind == "regression":
            held.append(abs(float(output[0]) - float(label)) <= threshold)
            size.append(2 * threshold)
        else:
            share = softmax(output.astype(np.float64))
            held.append(1 - share[label] <= threshold)
            size.append(sum(1 - p <= threshold for p in share))
    return np.array(held), np.array(size)


def test_groups_of_the_validation_rows_have_thresholds_of_their_own(regressor):
    region = fit_region(regressor, 0.8, ("environment",))
    assert set(region.by_group) == {"environment=e1", "environment=e2", "environment=e3"}
    frame = predict_posthoc(
        regressor, NUMBERS, level=0.8, by=("environment",), groups=["environment=e1"] * (len(NUMBERS) - 1) + ["new"]
    )
    widths = (frame["high"] - frame["low"]).to_numpy()
    assert widths[0] == pytest.approx(2 * region.by_group["environment=e1"], rel=1e-4)
    assert widths[-1] == pytest.approx(2 * region.threshold, rel=1e-4)


def test_test_rows_have_no_part_in_what_is_fitted(classifier, tmp_path):
    before = fit_adjustment(classifier, "isotonic").change(np.eye(3))
    (classifier.path / "predictions" / "test-iid.npz").unlink(missing_ok=True)
    np.testing.assert_array_equal(fit_adjustment(classifier, "isotonic").change(np.eye(3)), before)


def test_the_command_line_predicts_with_all_of_it(classifier, regressor, tmp_path):
    store = str(classifier.path.parent / "store")
    out = tmp_path / "out.csv"
    options = ["--calibrate", "temperature", "--prior", "y1=1,y2=1,y3=2", "--set", "0.8", "--by", "environment"]
    app(["predict", str(classifier.path), store, "--out", str(out), *options], standalone_mode=False)
    header, first = out.read_text().splitlines()[:2]
    assert header == "id,prediction,p_y1,p_y2,p_y3,in_y1,in_y2,in_y3"
    assert set(first.split(",")[-3:]) <= {"0", "1"}
    lines = tmp_path / "out.jsonl"
    store = str(regressor.path.parent / "store")
    app(
        ["predict", str(regressor.path), store, "--json", "--out", str(lines), "--interval", "0.8"],
        standalone_mode=False,
    )
    row = json.loads(lines.read_text().splitlines()[0])
    threshold = fit_region(regressor, 0.8).threshold
    assert row["interval"] == pytest.approx([row["prediction"] - threshold, row["prediction"] + threshold], rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--interval", "0.9"], "--interval is not for a classification"),
        (["--set", "0.9", "--by", "speakr"], "speakr"),
        (["--by", "environment"], "goes with --set"),
        (["--prior", "unifrm"], "give train, uniform, or a share"),
        (["--prior", "y1=1"], "has none for 'y2', 'y3'"),
        (["--prior", "y1=-1,y2=1,y3=1"], "shares from 0"),
        (["--set", "1.5"], "between 0 and 1"),
    ],
)
def test_mistakes_are_one_line(classifier, capsys, options, message):
    with pytest.raises(SystemExit) as exit_:
        main(["predict", str(classifier.path), str(classifier.path.parent / "store"), *options])
    lines = capsys.readouterr().err.strip().splitlines()
    assert (exit_.value.code, len(lines)) == (2, 1)
    assert message in lines[0]


def test_numbers_have_no_probabilities_and_rows_need_their_groups(regressor):
    with pytest.raises(DataError, match="leave the calibration and the prior out"):
        fit_adjustment(regressor, "temperature")
    with pytest.raises(DataError, match="needs the group of each of"):
        predict_posthoc(regressor, NUMBERS, level=0.8, by=("environment",))
    with pytest.raises(SpecError, match="there is no calibration"):
        fit_adjustment(trained_stub(regressor), "beta")  # type: ignore[arg-type]


def trained_stub(run: Run) -> Run:
    """The run as if it were of a classification."""
    task = {"kind": "classification", "classes": ["a", "b"], "loss": "cross-entropy", "protocol": "classification"}
    return Run(run.path, run.spec, {**run.environment, "data": {**run.environment["data"], "task": task}})


def test_what_the_run_does_not_keep_is_asked_for(classifier, tmp_path):
    data = {name: value for name, value in classifier.environment["data"].items() if name != "class_counts"}
    older = Run(classifier.path, classifier.spec, {**classifier.environment, "data": data})
    with pytest.raises(RunError, match="did not note the classes"):
        fit_adjustment(older, prior="uniform")
    empty = Run(tmp_path, classifier.spec, classifier.environment)
    with pytest.raises(RunError, match="--split valid"):
        fit_adjustment(empty, "temperature")

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from deconfound.corruption import Corruption
from deconfound.corruptions.gaussian import Gaussian
from deconfound.data.signal import Batch
from deconfound.data.task import Task
from deconfound.errors import DataError, RunError, SpecError
from deconfound.evaluation.evaluate import Identity, evaluate_method, predict_scenario, records_of
from deconfound.evaluation.predictions import load_predictions
from deconfound.evaluation.records import Record, read_records
from deconfound.evaluation.scenario import Scenario, default_scenarios
from deconfound.protocol import get_protocol
from support.toy import Toy, rows

ME = Identity("toy-0", "toy", 0)
NOISE = Scenario("noise", "test-iid", corruption="gaussian", severities=(0.0, 0.5, 1.0), repeats=2)


def run(out: Path, scenarios: Sequence[Scenario], dataset: Any = None, **more: Any) -> list[Record]:
    given = {"run": "toy-0", "method_name": "toy", "seed": 0, **more}
    return evaluate_method(Toy(), dataset or rows(), scenarios, out=out, **given)


def plain(dataset: Any, start: int, stop: int) -> np.ndarray:
    """What `Toy` says, row by row."""
    totals = [sum(float(s.values[row].double().sum()) for s in dataset.signals.values()) for row in range(start, stop)]
    return np.array(totals, dtype=np.float32)


def test_clean_rows_are_predicted_as_they_are() -> None:
    dataset = rows()
    predictions = predict_scenario(Toy(), dataset, Scenario("test-flip", "test-flip"))
    assert predictions.output.shape == (1, 1, 10, 1)
    np.testing.assert_allclose(predictions.output[0, 0, :, 0], plain(dataset, 30, 40), rtol=1e-6)
    assert predictions.rows.tolist() == list(range(30, 40))
    assert predictions.ids.tolist() == [f"r{i}" for i in range(30, 40)]
    np.testing.assert_array_equal(predictions.target, dataset.target[30:40])
    assert predictions.clean


def test_damage_follows_from_name_severity_repeat_and_seed_alone() -> None:
    dataset = rows()
    one = predict_scenario(Toy(), dataset, NOISE)
    assert np.array_equal(one.output, predict_scenario(Toy(), dataset, NOISE).output)
    double = predict_scenario(Toy(scale=2.0), dataset, NOISE)
    np.testing.assert_allclose(double.output, 2 * one.output, rtol=1e-6, err_msg="another method meets the same damage")
    fewer = predict_scenario(Toy(), dataset, replace(NOISE, severities=(1.0,), repeats=1))
    np.testing.assert_array_equal(fewer.output[0, 0], one.output[2, 0])
    for other in (replace(NOISE, name="other"), NOISE):
        seed = 1 if other is NOISE else 0
        assert not np.allclose(predict_scenario(Toy(), dataset, other, seed=seed).output[1:], one.output[1:])
    assert not np.allclose(one.output[1, 0], one.output[1, 1]), "repeats differ"
    assert np.array_equal(one.output[0, 0], one.output[0, 1]), "severity 0 is the identity"


def test_a_chunk_is_damaged_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[predict_scenario.__module__], "CHUNK", 4)
    dataset, method = rows(), Toy()
    predictions = predict_scenario(method, dataset, NOISE)
    assert {len(batch) for batch in method.seen} == {4, 2}
    np.testing.assert_allclose(predictions.output[0, 0, :, 0], plain(dataset, 20, 30), rtol=1e-6)


def test_noise_is_the_training_scale_of_the_dataset() -> None:
    dataset = rows()
    wide = replace(dataset, signals={**dataset.signals, "audio": replace_values(dataset.signals["audio"], 1000.0)})
    method = Toy()
    predict_scenario(method, wide, replace(NOISE, severities=(1.0,), repeats=1))
    noise = method.seen[0].signals["audio"].values - wide.signals["audio"].values[20:30]
    assert 1000 < float(noise.std()) < 10_000


def replace_values(signal: Any, factor: float) -> Any:
    return replace(signal, values=signal.values * factor)


def test_only_the_present_modalities_reach_the_method() -> None:
    method, dataset = Toy(), rows()
    predict_scenario(method, dataset, Scenario("present=audio", "test-iid", present=("audio",)))
    (batch,) = method.seen
    assert not bool(batch.present["text"].any())
    assert torch.equal(batch.signals["audio"].values, dataset.signals["audio"].values[20:30])


def test_a_filter_chooses_rows_of_the_split() -> None:
    predictions = predict_scenario(Toy(), rows(), Scenario("anna", "test-flip", {"speaker": "anna"}))
    assert predictions.rows.tolist() == [30, 32, 34, 36, 38]
    with pytest.raises(DataError, match=r"scenario 'early': no row of 'test-flip' has \{'id': \['r1'\]\}"):
        predict_scenario(Toy(), rows(), Scenario("early", "test-flip", {"id": ["r1"]}))


def test_the_method_is_left_as_it_was() -> None:
    method = Toy()
    method.drop.eval()
    predict_scenario(method, rows(), NOISE)
    assert method.training
    assert not method.drop.training
    assert not method.seen[0].signals["text"].values.requires_grad


def test_a_corruption_may_be_an_object() -> None:
    by_name = predict_scenario(Toy(), rows(), NOISE)
    by_object = predict_scenario(Toy(), rows(), replace(NOISE, corruption=Gaussian()))
    assert np.array_equal(by_name.output, by_object.output)


def test_records_hold_every_metric_of_what_was_kept() -> None:
    dataset = rows()
    predictions = predict_scenario(Toy(), dataset, NOISE)
    records = records_of(predictions, dataset, ME)
    assert len(records) == 3 * 2 * len(get_protocol("regression").metrics)
    for record in records:
        v = NOISE.severities.index(record.severity)
        expected = get_protocol("regression").score(predictions.output[v, record.repeat], predictions.target)
        assert (record.value, record.n) == expected[record.metric]
        assert (record.run, record.method, record.dataset, record.seed) == ("toy-0", "toy", "toys", 0)
        assert (record.scenario, record.split, record.group) == ("noise", "test-iid", "all")


def test_clean_rows_are_also_judged_by_environment_and_at_worst() -> None:
    dataset = rows()
    predictions = predict_scenario(Toy(), dataset, Scenario("test-iid", "test-iid"))
    by_group = {(r.group, r.metric): r for r in records_of(predictions, dataset, ME)}
    assert {group for group, _ in by_group} == {"all", "speaker=anna", "speaker=bo", "worst(speaker)"}
    for number, name in enumerate(("anna", "bo")):
        cut = slice(number, None, 2)
        output = predictions.output[0, 0][cut]
        expected = get_protocol("regression").score(output, predictions.target[cut])
        assert {m: (r.value, r.n) for (g, m), r in by_group.items() if g == f"speaker={name}"} == expected
    pick = {"mse": max, "mae": max, "corr": min, "r2": min}
    for metric, worst in pick.items():
        both = [by_group[f"speaker={name}", metric].value for name in ("anna", "bo")]
        assert by_group["worst(speaker)", metric].value == worst(both)


def test_groups_without_a_value_do_not_count_as_worst() -> None:
    alone = rows(metadata={"id": [f"r{i}" for i in range(40)], "speaker": ["a"] * 29 + ["b"] + ["a"] * 10})
    predictions = predict_scenario(Toy(), alone, Scenario("test-iid", "test-iid"))
    by_group = {(r.group, r.metric): r for r in records_of(predictions, alone, ME)}
    assert (by_group["speaker=b", "corr"].value, by_group["speaker=b", "corr"].n) == (None, 1)
    counted = replace(by_group["speaker=a", "corr"], group="worst(speaker)", groups=2, undefined=1)
    assert by_group["worst(speaker)", "corr"] == counted
    worst = by_group["worst(speaker)", "mse"]
    assert (worst.groups, worst.undefined, by_group["speaker=a", "mse"].groups) == (2, 0, None)
    single = rows(metadata={"id": [f"r{i}" for i in range(40)], "speaker": list(range(40))})
    predictions = predict_scenario(Toy(), single, Scenario("test-iid", "test-iid"))
    by_group = {(r.group, r.metric): r for r in records_of(predictions, single, ME)}
    worst = by_group["worst(speaker)", "corr"]
    assert (worst.value, worst.n, worst.groups, worst.undefined) == (None, 0, 10, 10)


@pytest.mark.parametrize("classes", [2, 3])
def test_classification_has_auroc_where_binary(classes: int) -> None:
    dataset = rows(task=Task.classification(tuple("abc"[:classes])))
    predictions = predict_scenario(Toy(classes), dataset, Scenario("test-iid", "test-iid"))
    metrics = {r.metric for r in records_of(predictions, dataset, ME)}
    expected = {"accuracy", "weighted-f1", "macro-f1", "worst-class-recall"}
    assert metrics == (expected | {"auroc"} if classes == 2 else expected)


def test_predictions_of_other_rows_are_refused() -> None:
    predictions = predict_scenario(Toy(), rows(), NOISE)
    moved = rows(target=torch.zeros(40))
    for other in (rows(20), moved, rows(metadata={"id": [f"x{i}" for i in range(40)], "speaker": ["a"] * 40})):
        with pytest.raises(RunError, match="scenario 'noise' do not belong to the rows or labels of 'toys'"):
            records_of(predictions, other, ME)


def test_an_output_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(RunError, match=r"Toy, scenario 'noise': 10 of 10 outputs are NaN or infinite \(.*'r20'\)"):
        predict_scenario(Toy(scale=float("nan")), rows(), NOISE)


def test_an_output_of_another_shape_is_an_error() -> None:
    with pytest.raises(RunError, match=r"Toy gave \(10, 3\) outputs; this task expects \(10, 1\)"):
        predict_scenario(Toy(3), rows(), NOISE)


def test_a_run_directory_keeps_predictions_and_records(tmp_path: Path) -> None:
    dataset = rows()
    scenarios = default_scenarios(dataset)
    records = run(tmp_path, scenarios, dataset)
    assert read_records(tmp_path / "records.jsonl") == records
    names = {path.name for path in (tmp_path / "predictions").iterdir()}
    assert names == {f"{scenario.name}.npz" for scenario in scenarios}
    again = [
        record
        for scenario in scenarios
        for record in records_of(load_predictions(tmp_path / "predictions" / f"{scenario.name}.npz"), dataset, ME)
    ]
    assert again == records, "records are a function of what was kept"
    line = json.loads((tmp_path / "records.jsonl").read_text().splitlines()[0])
    assert list(line) == [
        *("run", "method", "dataset", "seed", "scenario", "split", "severity", "repeat", "group"),
        *("protocol", "metric", "value", "n", "checksum"),
    ]


def test_a_scenario_is_predicted_once_and_the_others_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path, [NOISE, Scenario("valid", "valid")])
    monkeypatch.setattr(Toy, "forward", None)
    assert run(tmp_path, [NOISE]) == [record for record in first if record.scenario == "noise"]
    assert sorted(read_records(tmp_path / "records.jsonl"), key=str) == sorted(first, key=str)


def test_another_question_under_a_kept_name_is_refused(tmp_path: Path) -> None:
    run(tmp_path, [NOISE])
    for other in (replace(NOISE, severities=(2.0,)), replace(NOISE, arguments={"modalities": ["audio"]})):
        with pytest.raises(RunError, match="give this one another name"):
            run(tmp_path, [other])


def test_an_unusual_name_stays_inside_the_folder(tmp_path: Path) -> None:
    records = run(tmp_path / "run", [Scenario("../../a b", "valid")])
    assert {record.scenario for record in records} == {"../../a b"}
    (file,) = (tmp_path / "run" / "predictions").iterdir()
    assert load_predictions(file).scenario == "../../a b"
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (Scenario("valid", "valid"), SpecError, "two scenarios are called 'valid'"),
        (Scenario("x", "tset-iid"), DataError, "no split 'tset-iid'; did you mean 'test-iid'"),
        (Scenario("x", "valid", {"speeker": "anna"}), DataError, "no metadata column 'speeker'; did you mean"),
        (Scenario("x", "valid", present=("txt",)), SpecError, "'x': there is no modality 'txt'; did you mean 'text'"),
        (Scenario("x", "valid", corruption="blur"), SpecError, "there is no corruption 'blur'"),
        (Scenario("x", "valid", corruption="gaussian", arguments={"size": 1}), SpecError, "no argument 'size'"),
    ],
)
def test_a_wrong_scenario_is_refused_before_any_work(
    tmp_path: Path, wrong: Scenario, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        run(tmp_path, [Scenario("valid", "valid"), wrong])
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_protocol_of_another_task_is_refused_before_any_work(tmp_path: Path) -> None:
    dataset = rows(task=Task.regression(protocol="classification"))
    with pytest.raises(DataError, match="the protocol 'classification' judges classification"):
        run(tmp_path, [NOISE], dataset)
    assert list(tmp_path.iterdir()) == []


def test_progress_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, [NOISE, Scenario("valid", "valid")], progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["evaluating 1/2: noise", "evaluating 2/2: valid"]


def test_a_corruption_receives_the_severity_as_given() -> None:
    seen: list[float] = []

    class Watch(Corruption):
        def __call__(self, batch: Batch, severity: float, generator: torch.Generator) -> Batch:
            seen.append(severity)
            return batch

    predict_scenario(Toy(), rows(), Scenario("w", "valid", corruption=Watch(), severities=(0.25, 3), repeats=2))
    assert seen == [0.25, 0.25, 3.0, 3.0]


def test_outputs_in_half_precision_are_kept_as_float32() -> None:
    class Half(Toy):
        def forward(self, batch: Batch) -> Tensor:
            return super().forward(batch).half()

    assert predict_scenario(Half(), rows(), NOISE).output.dtype == np.float32

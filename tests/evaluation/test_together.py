"""Scenarios of the same rows share their encodings; the predictions and the files are those of each one by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from deconfound.corruption import seeded
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.data.task import Task
from deconfound.errors import RunError
from deconfound.evaluation import evaluate as evaluation
from deconfound.evaluation.evaluate import evaluate_method, predict_together
from deconfound.evaluation.records import VARIANTS, read_records
from deconfound.evaluation.scenario import Scenario, default_scenarios
from deconfound.method import Method
from deconfound.nn.backbone import Backbone, remembering
from deconfound.registry import build, names
from deconfound.runs.build import build_method
from deconfound.runs.spec import Spec
from support.toy import Toy, rows

CHUNK = 4
PAIR = {"text": "gru", "audio": "mlp"}
AUDIO_NOISE = Scenario(
    "hiss", "test-iid", corruption="gaussian", arguments={"modalities": ["audio"]}, severities=(0.0, 1.0), repeats=2
)
NOISE_ON_WHAT_IS_LEFT = Scenario("left", "test-iid", corruption="gaussian", severities=(1.0,), present=("audio",))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CHUNK", CHUNK)


def method_on(dataset: Dataset, method: str, encoders: dict[str, str] = PAIR) -> Method:
    spec = Spec.of({"method": method, "backbone": {"hidden": 8, "encoders": encoders}})
    return build_method(spec, dataset.modalities, dataset.task, environments=2).eval()


def batches(dataset: Dataset, scenario: Scenario, severity: float, repeat: int) -> Iterator[Batch]:
    """The definition of a draw: the rows are read anew, lose modalities, and are corrupted."""
    corruption: Any = scenario.corruption and build("corruptions", str(scenario.corruption), **scenario.arguments)
    absent = [name for name in dataset.signals if scenario.present and name not in scenario.present]
    split = dataset.rows(scenario.split)
    for start in range(0, len(split), CHUNK):
        batch = dataset.batch(split[start : start + CHUNK]).without(*absent)
        generator = seeded(scenario.name, severity, repeat, 0, start)
        yield corruption.fitted(dataset)(batch, severity, generator) if corruption else batch


def one_by_one(method: Method, dataset: Dataset, scenario: Scenario) -> dict[str, np.ndarray]:
    """Variant → (V, R, N, outputs), every draw by itself."""
    results: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for severity in scenario.severities:
            for repeat in range(scenario.repeats):
                parts = list(batches(dataset, scenario, severity, repeat))
                outputs = [{"": method(batch), **method.variants(batch)} for batch in parts]
                for name in outputs[0]:
                    results.setdefault(name, []).append(torch.cat([output[name] for output in outputs]))
    shape = (len(scenario.severities), scenario.repeats)
    return {name: torch.stack(draws).unflatten(0, shape).numpy() for name, draws in results.items()}


@pytest.mark.parametrize("task", [Task.regression(), Task.classification(("no", "yes"))], ids=["regression", "classes"])
@pytest.mark.parametrize("name", names("methods"))
def test_every_method_predicts_bit_for_bit_as_without_sharing(name: str, task: Task) -> None:
    dataset = rows(48, task)
    method = method_on(dataset, name)
    unchanged = [s for s in default_scenarios(dataset) if s.corruption is None and s.split == "test-iid"]
    assert len(unchanged) == 3
    for group in (unchanged, [AUDIO_NOISE], [NOISE_ON_WHAT_IS_LEFT]):
        for scenario, predictions in zip(group, predict_together(method, dataset, group), strict=True):
            expected = one_by_one(method, dataset, scenario)
            assert np.array_equal(predictions.output, expected.pop(""))
            assert expected.keys() == dict(predictions.variants).keys()
            assert all(np.array_equal(predictions.variants[variant], expected[variant]) for variant in expected)


def calls(module: nn.Module) -> list[int]:
    """Rows of each call of a module from now on."""
    counted: list[int] = []
    module.register_forward_hook(lambda _module, inputs, _output: counted.append(len(inputs[0])))
    return counted


def test_a_modality_is_encoded_once_as_it_is_and_once_absent() -> None:
    dataset = rows(48)
    method = method_on(dataset, "erm")
    counted = {name: calls(method.backbone.encoders[name]) for name in dataset.signals}
    group = [s for s in default_scenarios(dataset) if s.corruption is None and s.split == "test-iid"]
    predict_together(method, dataset, group)
    chunks = [4, 4, 4]
    assert counted == {"text": [4, 4, 4, 4, 4, 4], "audio": [4, 4, 4, 4, 4, 4]}
    for kept in counted.values():
        kept.clear()
    predict_together(method, dataset, [AUDIO_NOISE])
    assert counted["text"] == chunks
    assert counted["audio"] == [4, 4, 4] * 3, "severity 0 changes nothing, so its two draws are one"


class InPlace(nn.Module):
    """A user's encoder that writes into its input."""

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        return values.mul_(2).sum(dim=1)


def test_what_is_remembered_is_out_of_reach() -> None:
    dataset = rows(48)
    backbone = Backbone.build(dataset.modalities, dataset.task, encoders={"audio": InPlace()}).eval()
    batch = dataset.batch(range(4))
    first = backbone.encode(batch)
    with remembering(backbone, batch):
        for _ in range(3):
            features = backbone.encode(batch)
            assert all(torch.equal(features[name], first[name]) for name in first)
            for values in features.values():
                values.zero_()
        other = dataset.batch(range(4, 8))
        assert not torch.equal(backbone.encode(other)["audio"], first["audio"])
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.mul_(2)
    assert not torch.equal(backbone.encode(batch)["text"], first["text"]), "nothing is remembered after the block"


def evaluated(out: Path, scenarios: Sequence[Scenario], method: Method | None = None) -> list[Any]:
    return evaluate_method(method or Toy(), rows(), scenarios, out=out, run="toy-0", method_name="toy", seed=0)


def contents(folder: Path) -> dict[str, Any]:
    """The lines of every text file, and the arrays of every archive."""
    lines = {file.name: file.read_text().splitlines() for file in folder.glob("*.jsonl")}
    arrays: dict[str, Any] = {}
    for file in (folder / "predictions").iterdir():
        with np.load(file) as archive:
            arrays[file.name] = {name: archive[name].tolist() for name in archive.files}
    return lines | arrays


class Killed(BaseException):
    """What no handler stops."""


def test_a_killed_evaluation_is_repeated_with_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenarios = default_scenarios(rows())
    evaluated(tmp_path / "whole", scenarios)
    save, written = evaluation.save_predictions, evaluation.write_records
    for after in range(len(scenarios)):
        out, left = tmp_path / str(after), [after]

        def save_or_die(path: Path, predictions: Any, left: list[int] = left) -> None:
            if not left[0]:
                raise Killed
            left[0] -= 1
            save(path, predictions)

        with monkeypatch.context() as dying:
            dying.setattr(evaluation, "save_predictions", save_or_die)
            dying.setattr(evaluation, "write_records", lambda *_: None)  # a kill leaves no time to
            with pytest.raises(Killed):
                evaluated(out, scenarios)
        assert evaluation.write_records is written
        evaluated(out, scenarios)
        assert contents(out) == contents(tmp_path / "whole")


def test_records_of_the_scenarios_before_a_failure_are_written(tmp_path: Path) -> None:
    class Diverges(Toy):
        def forward(self, batch: Batch) -> Tensor:
            return super().forward(batch) * (float("nan") if len(self.seen) > 3 else 1)

    scenarios = [Scenario("valid", "valid"), Scenario("test-flip", "test-flip")]
    with pytest.raises(RunError, match="scenario 'test-flip'"):
        evaluated(tmp_path, scenarios, Diverges())
    assert {record.scenario for record in read_records(tmp_path / "records.jsonl")} == {"valid"}


def test_each_file_of_records_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = evaluation.write_records
    monkeypatch.setattr(
        evaluation, "write_records", lambda path, lines: (written.append(path.name), write(path, lines))
    )
    records = evaluated(tmp_path, default_scenarios(rows()))
    assert written == ["records.jsonl"]
    assert not (tmp_path / VARIANTS).exists()
    assert read_records(tmp_path / "records.jsonl") == records

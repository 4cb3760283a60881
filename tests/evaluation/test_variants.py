"""Other predictions of the same model: kept, measured under their own name, out of the way of selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.errors import RunError
from deconfound.evaluation.evaluate import evaluate_method, predict_scenario
from deconfound.evaluation.predictions import load_predictions
from deconfound.evaluation.records import Record, read_records
from deconfound.evaluation.scenario import Scenario
from deconfound.method import MethodHooks
from support.toy import Toy, rows

NOISE = Scenario("noise", "test-iid", corruption="gaussian", severities=(0.0, 1.0), repeats=2)


class Several(Toy):
    """A method with two further predictions."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks = MethodHooks(variants=self._scaled)

    def _scaled(self, batch: Batch) -> dict[str, Tensor]:
        output = self(batch)
        return {"double": 2 * output, "zero": 0 * output}


def run_of(method: Toy, out: Path, scenarios: Sequence[Scenario], dataset: Any) -> list[Record]:
    return evaluate_method(method, dataset, scenarios, out=out, run="toy-0", method_name="toy", seed=0)


def test_variants_are_kept_and_measured_beside_the_prediction(tmp_path: Path) -> None:
    dataset, scenarios = rows(), [Scenario("test-flip", "test-flip"), NOISE]
    records = run_of(Several(), tmp_path, scenarios, dataset)
    plain = run_of(Toy(), tmp_path / "plain", scenarios, dataset)
    own = [record for record in records if record.method == "toy"]
    assert own == plain == read_records(tmp_path / "records.jsonl")
    double = run_of(Toy(scale=2.0), tmp_path / "double", scenarios, dataset)
    shown = [replace(record, method="toy") for record in records if record.method == "toy [double]"]
    assert [(r.scenario, r.metric, r.repeat, r.group, r.value) for r in shown] == [
        (r.scenario, r.metric, r.repeat, r.group, pytest.approx(r.value, rel=1e-5)) for r in double
    ]
    others = read_records(tmp_path / "variants.jsonl")
    assert {record.method for record in others} == {"toy [double]", "toy [zero]"}
    assert sorted(map(str, others)) == sorted(map(str, records[len(own) :]))
    assert not (tmp_path / "plain" / "variants.jsonl").exists()


def test_variants_are_computed_from_what_was_kept_and_replaced_scenario_by_scenario(tmp_path: Path) -> None:
    scenarios = [Scenario("test-flip", "test-flip"), Scenario("test-iid", "test-iid")]
    first = run_of(Several(), tmp_path, scenarios, rows())
    again = run_of(Toy(), tmp_path, scenarios[:1], rows())
    assert again == [record for record in first if record.scenario == "test-flip"]
    assert {record.scenario for record in read_records(tmp_path / "variants.jsonl")} == {"test-flip", "test-iid"}
    kept = load_predictions(tmp_path / "predictions" / "test-flip.npz")
    np.testing.assert_allclose(kept.of("double").output, 2 * kept.output, rtol=1e-6)
    assert kept.of("") is kept
    assert not kept.of("zero").variants
    with pytest.raises(RunError, match="keeps no predictions of the variant 'do'; known: double, zero"):
        kept.of("do")


def test_a_variant_of_another_shape_or_not_finite_is_refused() -> None:
    wide, infinite = Toy(), Toy()
    wide.hooks = MethodHooks(variants=lambda batch: {"wide": torch.zeros(len(batch), 3)})
    infinite.hooks = MethodHooks(variants=lambda batch: {"far": torch.full((len(batch), 1), torch.inf)})
    with pytest.raises(RunError, match=r"Toy gave \(10, 3\) outputs; this task expects \(10, 1\)"):
        predict_scenario(wide, rows(), Scenario("test-iid", "test-iid"))
    with pytest.raises(RunError, match="NaN or infinite"):
        predict_scenario(infinite, rows(), Scenario("test-iid", "test-iid"))

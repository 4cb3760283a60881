"""Cost of a run: operations against closed forms, time and memory against what must hold anywhere."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from deconfound.datasets.synthetic import synthetic
from deconfound.errors import RunError
from deconfound.nn.encoders.transformer import Transformer
from deconfound.runs.build import build_method
from deconfound.training import cost
from deconfound.training.cost import Cost, forward_flops, measure_cost, read_cost, step_times
from deconfound.training.train import train_run
from support.small import FAST, small_data, small_run, small_spec, tiny


def linear_products(module: nn.Module) -> int:
    """2 · in · out of every linear layer."""
    return sum(2 * part.in_features * part.out_features for part in module.modules() if isinstance(part, nn.Linear))


def test_operations_of_perceptrons_are_two_per_weight() -> None:
    data = small_data()
    method = build_method(small_spec(), data.modalities, data.task).train()
    assert forward_flops(method, data.batch(range(1))) == linear_products(method)
    assert method.training
    assert forward_flops(method, data.batch(range(3))) == 3 * linear_products(method)


@pytest.mark.parametrize(("encoder", "kind"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_operations_of_recurrence_grow_with_the_steps(encoder: str, kind: type[nn.Module]) -> None:
    counts = []
    for steps in (4, 8):
        data = synthetic(rows=16, steps=steps, features=5)
        spec = small_spec(backbone={"hidden": 8, "encoders": dict.fromkeys(data.signals, encoder)})
        method = build_method(spec, data.modalities, data.task)
        recurrent = [part for part in method.modules() if isinstance(part, kind)]
        weights = sum(p.numel() for part in recurrent for p in part.parameters() if p.ndim == 2)
        counts.append(forward_flops(method, data.batch(range(1))))
        assert counts[-1] == 2 * steps * weights + linear_products(method)
    assert counts[1] > counts[0]


def test_attention_is_counted_though_inference_fuses_it() -> None:
    steps = 6
    data = synthetic(rows=16, steps=steps, features=5)
    spec = small_spec(backbone={"hidden": 8, "encoders": dict.fromkeys(data.signals, "transformer")})
    method = build_method(spec, data.modalities, data.task)
    encoders = [part for part in method.modules() if isinstance(part, Transformer)]
    blocks = [block for encoder in encoders for block in encoder.blocks]
    enter, inside = (sum(map(linear_products, parts)) for parts in ([e.enter for e in encoders], blocks))
    once = linear_products(method) - enter - inside
    attention = (
        len(blocks) * 2 * 2 * (steps + 1) ** 2 * 8
    )  # queries by keys, then shares by values; a summary step leads
    found = forward_flops(method, data.batch(range(1)))
    assert found == steps * enter + (steps + 1) * inside + attention + once


def test_steps_are_timed_after_a_warm_up_and_train(monkeypatch: pytest.MonkeyPatch) -> None:
    data = small_data()
    method = build_method(small_spec(), data.modalities, data.task)
    before = [parameter.detach().clone() for parameter in method.parameters()]
    ticks = iter(range(1000))
    monkeypatch.setattr(cost.time, "perf_counter", lambda: float(next(ticks)))
    assert step_times(method, data.batch("train"), 4, rate=1e-2, decay=0.0, clip=1.0) == [1.0] * 4
    assert next(ticks) == 2 * (4 + cost.WARM_UP)
    assert any(not torch.equal(a, b) for a, b in zip(before, method.parameters(), strict=True))


def test_a_run_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    weights = (run.path / "checkpoints" / "best.safetensors").read_bytes()
    found = measure_cost(run, steps=3)
    assert run.done is not None
    assert found.parameters == run.done["parameters"]
    assert found.flops == forward_flops(run.method(), run.dataset().batch(range(1)))
    assert (found.batch_size, found.steps, found.device, found.threads) == (16, 3, "cpu", 1)
    assert 0 < found.step_seconds < 10
    assert 50e6 < found.peak_memory < 4e9
    assert read_cost(run.path) == found
    assert (run.path / "checkpoints" / "best.safetensors").read_bytes() == weights


def test_data_passed_in_python_are_measured_here(tmp_path: Path) -> None:
    data = tiny(24)
    run = train_run(small_spec(data={}, train=FAST), tmp_path / "run", dataset=data, progress=False)
    threads = torch.get_num_threads()
    state = torch.random.get_rng_state()
    found = measure_cost(run, dataset=data, steps=2)
    assert found.batch_size == len(data.rows("train"))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
    with pytest.raises(RunError, match="other modalities or another task than the data"):
        measure_cost(run, dataset=data.only("text"), steps=2)
    with pytest.raises(RunError, match="could not be measured: data is missing"):
        measure_cost(run, steps=2)


def test_what_was_not_measured_is_none_and_damage_is_said(tmp_path: Path) -> None:
    assert read_cost(tmp_path) is None
    good = asdict(Cost(1, 2, 0.1, 4, 5, 6, "cpu", 1))
    for damaged in ("{", json.dumps({"parameters": 1}), json.dumps(good | {"flops": "many"})):
        (tmp_path / "cost.json").write_text(damaged)
        with pytest.raises(RunError, match=r"cost\.json is damaged"):
            read_cost(tmp_path)
    (tmp_path / "cost.json").write_text(json.dumps(good))
    assert read_cost(tmp_path) == replace(Cost(**good))

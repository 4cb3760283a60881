"""Under the null, copies of ERM with other seeds, the tests of the tables stay silent; a small run of the benchmark."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

METHODS, SEEDS, SWEEPS = 4, 3, 60


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "null_simulation.py"
    spec = importlib.util.spec_from_file_location("null_simulation", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["null_simulation"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_copies_of_erm_are_called_different_in_at_most_five_of_a_hundred_comparisons(benchmark: ModuleType) -> None:
    pool = benchmark.train_pool(METHODS * SEEDS, rows=64, epochs=2, split="test-iid", metric="mse", resamples=100)
    found = benchmark.simulate(
        benchmark.judges_of(pool, higher_is_better=False), METHODS, SEEDS, METHODS * SEEDS, SWEEPS
    )
    assert found["t over seeds and rows, Holm (default)"]["share"] <= 0.05
    assert found["†: worse than the best mean, Bonferroni"]["share"] <= 0.05
    assert found["t over rows of the errors, Holm (wrong)"]["share"] > 0.05


def test_made_up_runs_of_one_kind_give_few_flags_and_of_two_kinds_many(benchmark: ModuleType) -> None:
    rng = np.random.default_rng(0)
    runs, rows = 60, 80
    errors = (rng.normal(1, 0.2, (runs, 1)) + rng.normal(0, 1, (1, rows)) + rng.normal(0, 0.5, (runs, rows))) ** 2
    weights = rng.multinomial(rows - 1, np.full(rows, 1 / rows), size=60) / (rows - 1)
    same = benchmark.Pool(errors.mean(axis=1), errors @ weights.T, errors)
    judge = benchmark.judges_of(same, higher_is_better=False)["t over seeds and rows, Holm (default)"]
    found = benchmark.simulate({"default": judge}, 12, 5, runs, 60)["default"]
    assert found["share"] <= 0.02
    assert found["any"] <= 0.12  # nominal 0.05, 60 sweeps
    moved = errors + np.where(np.arange(runs) < 5, 0.0, 3.0)[:, None]
    other = benchmark.Pool(moved.mean(axis=1), moved @ weights.T, moved)
    judge = benchmark.judges_of(other, higher_is_better=False)["t over seeds and rows, Holm (default)"]
    assert judge(np.arange(runs).reshape(12, 5)) == (11, 11)

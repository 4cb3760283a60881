"""The table over left-out speakers against SciPy."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import folds
from folds import compare, measured

from deconfound.errors import SpecError


def test_the_fold_is_the_unit_and_seeds_are_averaged_within_it() -> None:
    rng = np.random.default_rng(0)
    drawn = {m: rng.normal(size=(6, 2)) + shift for m, shift in (("erm", 0.0), ("good", 5.0), ("same", 0.0))}
    grid = {m: {f"f{i}": {0: row[0], 1: row[1]} for i, row in enumerate(v.tolist())} for m, v in drawn.items()}
    erm, good, same = compare(grid, "erm")
    assert erm.difference is None
    p = {}
    for line in (good, same):
        ours, theirs = drawn[line.method].mean(axis=1), drawn["erm"].mean(axis=1)
        test = stats.ttest_rel(ours, theirs)
        interval = test.confidence_interval()
        assert line.difference is not None
        assert line.difference.mean == pytest.approx((ours - theirs).mean())
        assert (line.difference.low, line.difference.high) == pytest.approx((interval.low, interval.high))
        p[line.method] = test.pvalue
        assert line.mean == pytest.approx(drawn[line.method].mean())
        assert line.worst == pytest.approx(drawn[line.method].min(axis=0).mean())
    assert good.p == pytest.approx(2 * p["good"])
    assert same.p == pytest.approx(p["same"])


def test_folds_of_one_name_are_refused_rather_than_overwritten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = SimpleNamespace(scenario="test", group="all", metric="accuracy", severity=0.0, value=0.5)
    runs = [SimpleNamespace(records=[record], folder=name, label="erm", dataset="corpus", seed=0) for name in "ab"]
    monkeypatch.setattr(folds, "collect_runs", lambda *_: SimpleNamespace(runs=runs))
    with pytest.raises(SpecError, match="are called 'corpus'; name each fold"):
        measured(tmp_path, "test", "accuracy")

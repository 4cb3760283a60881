"""The real sets of the benchmark of defaults: what their splits hold, the shift that the script makes, and the tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import ttest_rel

from deconfound.runs.spec import Spec
from deconfound.testing import check_dataset

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "real_sets"))
from contenders import CONTENDERS, tables_for  # noqa: E402
from group_shift import GROUPS  # noqa: E402
from page import gain, grids, interval  # noqa: E402
from registry import GROUP, all_sets  # noqa: E402
from run import main  # noqa: E402
from sklearn_sets import SETS  # noqa: E402


@pytest.mark.parametrize("name", SETS)
def test_a_set_keeps_the_laws_and_a_fold_is_a_draw_of_its_rows(name: str) -> None:
    first, again, other = (all_sets()[name](fold) for fold in (0, 0, 1))
    check_dataset(first)
    assert first.checksum == again.checksum != other.checksum
    ids = first.columns["id"].values.tolist()
    assert sorted(ids) == sorted(other.columns["id"].values.tolist())
    shares = {split: len(rows) / len(first) for split, rows in first.splits.items()}
    assert shares == pytest.approx({"train": 0.6, "valid": 0.2, "test": 0.2}, abs=0.01)


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_a_shifted_set_has_new_groups_in_every_split_and_moves_inputs_alone(name: str) -> None:
    plain, moved = all_sets()[name](3), all_sets()[f"{name}-groups"](3)
    check_dataset(moved)
    assert torch.equal(plain.target, moved.target)
    groups = moved.metadata.groupby("split")["group"].unique().map(set).to_dict()
    assert {split: len(names) for split, names in groups.items()} == GROUPS
    assert not groups["train"] & groups["valid"]
    assert not groups["train"] & groups["test"]
    own = moved.columns["group"].values == "train-0"
    for view, signal in plain.signals.items():
        before, after = (s.values[:, 0].double().numpy()[own] for s in (signal, moved.signals[view]))
        correlation = [np.corrcoef(b, a)[0, 1] for b, a in zip(before.T, after.T, strict=True) if b.std() > 0]
        np.testing.assert_allclose(correlation, 1, atol=1e-4)
        assert np.abs(after - before).max() > 0


def test_every_contender_is_a_specification_and_those_by_group_are_of_sets_with_groups() -> None:
    for name in CONTENDERS:
        for kind in ("wine", "wine-groups"):
            tables = tables_for(kind, name, 7)
            assert (tables is None) == (name.endswith("per group") and kind not in GROUP)
            if tables is not None:
                spec = Spec.of(tables)
                assert spec.seed == 7
                assert spec.data.scale_by == (("group",) if name.endswith("per group") else None)


def test_a_call_goes_on_where_another_stopped_and_its_lines_become_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.jsonl"
    monkeypatch.setattr(
        sys, "argv", ["run.py", str(results), "--set", "iris", "--contender", "constant", "--folds", "0"]
    )
    main()
    monkeypatch.setattr(
        sys, "argv", ["run.py", str(results), "--set", "iris", "--contender", "constant", "linear", "--folds", "0", "1"]
    )
    main()
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    assert [(line["contender"], line["fold"]) for line in lines] == [
        ("constant", 0), ("linear", 0), ("constant", 1), ("linear", 1)
    ]  # fmt: skip
    grid = grids(lines)["iris", "test", "accuracy"]
    data = all_sets()["iris"](1)
    shares = torch.bincount(data.batch("train").target)
    assert grid["constant"][1] == pytest.approx(float((data.batch("test").target == shares.argmax()).float().mean()))
    assert grid["linear"][0] > 0.9


def test_gains_are_paired_by_fold_and_errors_are_shares() -> None:
    grid = {"a": {0: 0.5, 1: 0.7, 2: 0.8}, "b": {0: 0.4, 1: 0.65, 2: 0.6, 3: 0.1}}
    values = gain(grid, "a", "b", "accuracy")
    np.testing.assert_allclose(values, [0.1, 0.05, 0.2])
    bounds = ttest_rel([0.5, 0.7, 0.8], [0.4, 0.65, 0.6]).confidence_interval()
    assert interval(values) == f"{values.mean():+.3f} [{bounds.low:+.3f}, {bounds.high:+.3f}]"
    np.testing.assert_allclose(gain(grid, "a", "b", "mae"), -values / 0.55)

"""Mean ranks against pandas, and critical differences against Demšar's table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deconfound.report.ranks import INSIDE, OUTSIDE, critical_figures, dataset_ranks, rank_figure
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from support.fabricate import fabricate_grid

METHODS = ("erm", "cmir", "imml")


def sections_of(folders: list[Path]) -> list[Section]:
    return build_sections([read_run(folder) for folder in folders])


def mean_ranks(folders: list[Path], splits: list[str]) -> pd.Series:
    """Method → mean rank over splits and metrics, by pandas."""
    table = pd.concat(pd.read_json(folder / "records.jsonl", lines=True) for folder in folders)
    table = table[(table.scenario == table.split) & (table.group == "all") & table.split.isin(splits)]
    means = table.groupby(["split", "metric", "method"]).value.mean().reset_index()
    errors = means.metric.isin(["mse", "mae"])
    means["value"] = np.where(errors, means.value, -means.value)
    means["rank"] = means.groupby(["split", "metric"]).value.rank()
    return means.groupby("method")["rank"].mean()


def test_ranks_of_one_dataset_are_those_of_pandas(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path, METHODS)
    figure = rank_figure(sections_of(folders)[0])
    assert figure is not None
    shown = pd.DataFrame(figure.rows, columns=list(figure.columns)).set_index(["where", "method"])["rank"]
    for where, splits in ((INSIDE, ["test-iid"]), (OUTSIDE, ["test-flip", "test-zero"])):
        assert shown[where].sort_index().to_numpy() == pytest.approx(mean_ranks(folders, splits).to_numpy())
    assert "nothing is tested" in figure.note


def test_datasets_are_the_blocks(tmp_path: Path) -> None:
    one, two = (fabricate_grid(tmp_path / name, METHODS, dataset=name) for name in ("one", "two"))
    sections = sections_of([*one, *two])
    labels, found = dataset_ranks(sections)
    assert labels == list(METHODS)
    for block, folders in zip(found[OUTSIDE], (one, two), strict=True):
        oracle = mean_ranks(folders, ["test-flip", "test-zero"])
        assert dict(zip(labels, block, strict=True)) == pytest.approx(oracle.to_dict())
    inside, outside = critical_figures(sections)
    assert (inside.title, outside.title) == (f"Mean rank {INSIDE}", f"Mean rank {OUTSIDE}")
    for _, rank, low, high in outside.rows:
        assert rank == pytest.approx((low + high) / 2)
        assert high - low == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 2)), abs=2e-3)  # Demšar's table 5(a)
    assert "3 methods on 2 datasets" in outside.note


def test_other_protocols_of_one_dataset_add_no_block(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path / "a", METHODS, dataset="mosi")
    folders += fabricate_grid(tmp_path / "b", METHODS, dataset="mosi", protocol="mmsa-regression")
    sections = sections_of(folders)
    assert len(sections) == 2
    assert [len(blocks) for blocks in dataset_ranks(sections)[1].values()] == [1, 1]
    assert critical_figures(sections) == []


def test_one_method_or_none_in_common_has_no_rank(tmp_path: Path) -> None:
    (section,) = sections_of(fabricate_grid(tmp_path / "a", ("erm",)))
    assert rank_figure(section) is None
    apart = fabricate_grid(tmp_path / "b", ("erm", "cmir"), dataset="x")
    apart += fabricate_grid(tmp_path / "c", ("erm", "imml"), dataset="y")
    assert critical_figures(sections_of(apart)) == []


def test_a_metric_that_one_method_lacks_is_not_ranked(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path, ("erm", "cmir"), seeds=1)
    file = folders[1] / "records.jsonl"
    file.write_text("\n".join(line for line in file.read_text().splitlines() if '"metric": "r2"' not in line))
    figure = rank_figure(sections_of(folders)[0])
    assert figure is not None
    assert {row[1]: row[3] for row in figure.rows} == {INSIDE: 3, OUTSIDE: 6}

"""Rows, sections, gaps and intervals against pandas and SciPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from deconfound.errors import RunError
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from deconfound.results.spread import spread
from deconfound.statistics.student import paired_interval
from support.fabricate import fabricate, fabricate_grid

values = st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=1, max_size=8)


def sections_of(folders: list[Path]) -> list[Section]:
    return build_sections([read_run(folder) for folder in folders])


@given(values)
def test_spread_is_that_of_pandas(given_values: list[float]) -> None:
    series = pd.Series(given_values)
    found = spread([*given_values, None])
    assert found.mean == pytest.approx(series.mean(), abs=1e-9)
    assert (found.defined, found.total) == (len(series), len(series) + 1)
    if len(series) == 1:
        assert found.sd is None
    else:
        assert found.sd == pytest.approx(series.std(), abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_paired_interval_is_that_of_scipy(count: int) -> None:
    rng = np.random.default_rng(count)
    ours, theirs = rng.normal(size=count), rng.normal(size=count)
    found = paired_interval(
        dict(enumerate(map(float, ours))), dict(enumerate(map(float, theirs))) | {99: 1.0, 98: None}
    )
    oracle = ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found is not None
    assert found.seeds == count
    assert found.mean == pytest.approx((ours - theirs).mean())
    assert (found.low, found.high) == (pytest.approx(oracle.low), pytest.approx(oracle.high))


def test_paired_interval_needs_common_seeds() -> None:
    assert paired_interval({0: 1.0}, {1: 1.0}) is None
    assert paired_interval({0: None}, {0: 1.0}) is None
    single = paired_interval({0: 3.0, 1: 1.0}, {0: 1.0})
    assert single is not None
    assert (single.mean, single.low, single.high, single.seeds) == (2.0, None, None, 1)


def test_seeds_join_and_the_reference_comes_first(tmp_path: Path) -> None:
    (section,) = sections_of(fabricate_grid(tmp_path, ("cmir", "erm")))
    assert [(row.label, row.seeds) for row in section.rows] == [("erm", (0, 1, 2)), ("cmir", (0, 1, 2))]
    assert (section.in_split, section.out_splits) == ("test-iid", ("test-flip", "test-zero"))
    assert section.metrics[0] == section.protocol.primary


def test_without_erm_the_first_run_is_the_reference(tmp_path: Path) -> None:
    (section,) = sections_of(fabricate_grid(tmp_path, ("cmir", "imml")))
    assert section.reference.label == "cmir"


def test_the_gap_is_the_worst_shifted_split_minus_the_plain_one(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path)
    (section,) = sections_of(folders)
    table = pd.concat(pd.read_json(folder / "records.jsonl", lines=True) for folder in folders)
    table = table[(table.scenario == table.split) & (table.group == "all")]
    for metric, worst in (("mse", "max"), ("corr", "min")):
        for row in section.rows:
            chosen = table[(table.metric == metric) & (table.method == row.label)]
            means = chosen.groupby("split").value.mean()
            outside = means[["test-flip", "test-zero"]]
            assert section.worst_split(row, metric) == getattr(outside, f"idx{worst}")()
            gap = section.gap(row, metric)
            assert list(gap) == [0, 1, 2]
            assert spread(gap.values()).mean == pytest.approx(getattr(outside, worst)() - means["test-iid"])


def test_the_gap_is_undefined_where_a_shifted_split_is(tmp_path: Path) -> None:
    (section,) = sections_of([fabricate(tmp_path / "a", undefined=["corr"])])
    assert section.gap(section.rows[0], "corr") == {0: None}
    assert section.gap(section.rows[0], "mse")[0] is not None


def test_data_and_protocols_never_share_a_section(tmp_path: Path) -> None:
    folders = [
        fabricate(tmp_path / "a"),
        fabricate(tmp_path / "b", dataset="mosi"),
        fabricate(tmp_path / "c", dataset="mosi", protocol="mmsa-regression"),
        fabricate(tmp_path / "d", dataset="mosi", protocol="mmsa-regression", method="cmir"),
    ]
    found = sections_of(folders)
    assert [(s.dataset, s.protocol.name, len(s.rows)) for s in found] == [
        ("synthetic", "regression", 1),
        ("mosi", "regression", 1),
        ("mosi", "mmsa-regression", 2),
    ]


def test_one_name_for_other_data_is_another_section(tmp_path: Path) -> None:
    folders = [fabricate(tmp_path / "a"), fabricate(tmp_path / "b", seed=1)]
    file = folders[1] / "environment.json"
    file.write_text(file.read_text().replace('"checksum": "', '"checksum": "f'))
    assert len(sections_of(folders)) == 2


def test_rows_of_data_that_was_not_trained_on_have_no_gap(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    file = folder / "records.jsonl"
    file.write_text(file.read_text().replace('"dataset": "synthetic"', '"dataset": "other"'))
    (section,) = sections_of([folder])
    assert (section.checksum, section.in_split) == ("", None)
    assert section.gap(section.rows[0], "mse") == {}


def test_rows_of_one_name_tell_what_differs(tmp_path: Path) -> None:
    folders = [
        fabricate(tmp_path / "a", method="cmir", arguments={"strength": 0.2}),
        fabricate(tmp_path / "b", method="cmir", arguments={"strength": 0.4}),
        fabricate(tmp_path / "c", method="erm"),
        fabricate(tmp_path / "d", method="erm", modalities=("text", "audio")),
    ]
    (section,) = sections_of(folders)
    assert {row.label for row in section.rows} == {
        "cmir (strength=0.2)",
        "cmir (strength=0.4)",
        "erm (modalities=text+audio+vision)",
        "erm (modalities=text+audio)",
    }


def test_one_seed_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a and b are one specification with one seed \(0\)"):
        sections_of([fabricate(tmp_path / "a"), fabricate(tmp_path / "b")])


@pytest.mark.parametrize(("old", "new"), [('"protocol": "regression"', '"protocol": "regresion"'), ('"mse"', '"mze"')])
def test_an_unknown_protocol_or_metric_is_refused(tmp_path: Path, old: str, new: str) -> None:
    file = fabricate(tmp_path / "a") / "records.jsonl"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(RunError, match="did you mean"):
        sections_of([tmp_path / "a"])


def test_no_run_is_refused() -> None:
    with pytest.raises(RunError, match="there is no run to compare"):
        build_sections([])


def test_a_gap_is_over_the_seeds_of_both_splits(tmp_path: Path) -> None:
    folders = [fabricate(tmp_path / f"erm-{seed}", seed=seed) for seed in range(3)]
    for folder, split in ((folders[0], "test-iid"), (folders[2], "test-flip"), (folders[2], "test-zero")):
        file = folder / "records.jsonl"
        lines = [line for line in file.read_text().splitlines() if f'"split": "{split}"' not in line]
        file.write_text("\n".join(lines) + "\n")
    (section,) = build_sections([read_run(folder) for folder in folders])
    assert section.gap(section.reference, "mse").keys() == {1}

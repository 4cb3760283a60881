"""The line of ERM against SciPy."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from deconfound.report.scatter import FittedLine, least_squares, scatter_figure
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from support.fabricate import fabricate, fabricate_grid

points = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=12)


def section_of(folders: list[Path]) -> Section:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return section


@given(points)
def test_the_line_is_that_of_scipy(found: list[tuple[int, int]]) -> None:
    x, y = [a / 10 for a, _ in found], [b / 10 for _, b in found]
    line = least_squares(x, y)
    if len(set(x)) == 1:
        assert line == FittedLine(0.0, 1.0, 0)
    else:
        oracle = linregress(x, y)
        assert line.slope == pytest.approx(oracle.slope, abs=1e-9)
        assert line.intercept == pytest.approx(oracle.intercept, abs=1e-9)
        assert line.runs == len(x)


def test_two_runs_have_the_identity() -> None:
    assert least_squares([0.1, 0.2], [0.5, 0.9]) == FittedLine(0.0, 1.0, 0)


def test_the_figure_has_a_line_for_every_choice(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path, seeds=4)
    figure = scatter_figure(section_of(folders))
    assert figure is not None
    lines = pd.DataFrame(figure.rows, columns=list(figure.columns)).set_index(["scenario", "group", "metric"])
    table = pd.concat(pd.read_json(folder / "records.jsonl", lines=True) for folder in folders)
    erm = table[(table.method == "erm") & (table.metric == "mae")]
    inside = erm[(erm.scenario == "test-iid") & (erm.group == "speaker=anna")].set_index("seed").value
    outside = erm[(erm.scenario == "test-flip") & (erm.group == "speaker=anna")].set_index("seed").value
    oracle = linregress(inside, outside[inside.index])
    found = lines.loc[("test-flip", "speaker=anna", "mae")]
    assert (found.slope, found.intercept) == (pytest.approx(oracle.slope), pytest.approx(oracle.intercept))
    assert found.runs == 4
    whole = erm[(erm.scenario == "test-iid") & (erm.group == "all")].set_index("seed").value
    damaged = erm[erm.scenario == "gaussian"].groupby("seed").value.mean()
    assert lines.loc[("gaussian", "all", "mae")].slope == pytest.approx(linregress(whole, damaged[whole.index]).slope)
    assert len(lines) == 4 * (2 * 4 + 2 + 6)  # metrics × (shifted splits × groups + corruptions + subsets)


def test_without_a_second_condition_there_is_no_scatter(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    file = folder / "records.jsonl"
    kept = [line for line in file.read_text().splitlines() if '"scenario": "test-iid"' in line]
    file.write_text("\n".join(kept))
    assert scatter_figure(section_of([folder])) is None

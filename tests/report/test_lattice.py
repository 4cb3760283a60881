"""The lattice of modalities: nodes, edges, names and shades."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deconfound.report.lattice import edges, initials, lattice_figures, positions, shades
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from support.fabricate import fabricate, fabricate_grid

names = st.lists(st.text("abm12", min_size=1, max_size=4), min_size=1, max_size=6, unique=True)


def subsets_of(modalities: str) -> list[tuple[str, ...]]:
    return [subset for size in range(len(modalities), 0, -1) for subset in combinations(modalities, size)]


def section_of(folders: list[Path]) -> Section:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return section


@pytest.mark.parametrize("modalities", ["ab", "abc", "abcd"])
def test_edges_take_one_modality_away(modalities: str) -> None:
    subsets = subsets_of(modalities)
    oracle = {(a, b) for a in subsets for b in subsets if set(a) < set(b) and len(b) == len(a) + 1}
    assert set(edges(subsets)) == oracle


def test_edges_skip_what_was_not_measured() -> None:
    assert edges([("a", "b", "c"), ("a",), ("b", "c")]) == [(("a",), ("a", "b", "c")), (("b", "c"), ("a", "b", "c"))]


def test_places_of_one_level_are_even_and_inside() -> None:
    found = positions(subsets_of("abc"))
    assert [found[subset] for subset in (("a", "b", "c"), ("a",), ("b",), ("c",))] == [
        (0.5, 3),
        (pytest.approx(1 / 6), 1),
        (0.5, 1),
        (pytest.approx(5 / 6), 1),
    ]


@given(names)
def test_initials_tell_names_apart(given_names: list[str]) -> None:
    short = initials(given_names)
    assert len({value.lower() for value in short.values()}) == len(given_names)
    assert all(name.startswith(value.lower()) for name, value in short.items())


def test_initials_are_one_letter_where_that_is_enough() -> None:
    assert initials(["text", "audio", "vision"]) == {"text": "T", "audio": "A", "vision": "V"}


def test_shades_run_from_the_worst_to_the_best() -> None:
    assert shades([1.0, 3.0, 2.0], higher_is_better=True) == [0.0, 1.0, 0.5]
    assert shades([1.0, 3.0, 2.0], higher_is_better=False) == [1.0, 0.0, 0.5]
    assert shades([2.0, 2.0], higher_is_better=True) == [1.0, 1.0]


def test_methods_share_their_shades(tmp_path: Path) -> None:
    figures = lattice_figures(section_of(fabricate_grid(tmp_path)))
    assert [(figure.title, figure.method) for figure in figures] == [("erm", "erm"), ("cmir", "cmir")]
    rows = [dict(zip(f.columns, row, strict=True)) for f in figures for row in f.rows]
    nodes = [row for row in rows if row["metric"] == "mse"]
    assert len(nodes) == 2 * 7
    assert min(nodes, key=lambda row: row["mean"])["shade"] == 1.0
    assert max(nodes, key=lambda row: row["mean"])["shade"] == 0.0
    assert sum(row["kind"] == "edge" for row in rows) == 2 * 9


def test_one_modality_has_no_lattice(tmp_path: Path) -> None:
    assert lattice_figures(section_of([fabricate(tmp_path / "a", modalities=("text",))])) == []

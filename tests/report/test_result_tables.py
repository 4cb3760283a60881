"""The numbers that a reader sees, against pandas."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from deconfound.report.result_tables import decimals, groups_table, number, paired_table, results_table
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from support.fabricate import fabricate, fabricate_grid


def section_of(folders: list[Path]) -> Section:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return section


@pytest.mark.parametrize("metric", ["mse", "mae", "corr", "r2"])
def test_cells_are_means_and_deviations_over_seeds(tmp_path: Path, metric: str) -> None:
    folders = fabricate_grid(tmp_path)
    records = pd.concat(pd.read_json(folder / "records.jsonl", lines=True) for folder in folders)
    table = results_table(section_of(folders), metric)
    titles = ["test-iid", "test-flip", "test-zero", "worst out − in", "by speaker"]
    assert [column.title for column in table.columns] == titles
    for line in table.lines:
        chosen = records[(records.method == line.label) & (records.metric == metric)]
        for column, cell in zip(titles[:3], line.cells, strict=False):
            seeds = chosen[(chosen.scenario == column) & (chosen.group == "all")].value
            assert (cell.value, cell.sd) == (pytest.approx(seeds.mean()), pytest.approx(seeds.std()))
            assert float(cell.text) == pytest.approx(seeds.mean(), abs=5e-4)
        worst = chosen[(chosen.scenario == "test-iid") & (chosen.group == "worst(speaker)")].value
        assert line.cells[4].value == pytest.approx(worst.mean())


def test_the_gap_can_be_checked_from_its_neighbours(tmp_path: Path) -> None:
    for line in results_table(section_of(fabricate_grid(tmp_path)), "mse").lines:
        inside, flip, zero, gap, _ = (cell.value for cell in line.cells)
        assert None not in (inside, flip, zero, gap)
        assert gap == pytest.approx(max(flip or 0, zero or 0) - (inside or 0))
        assert line.cells[3].note == "at test-flip"


def test_the_best_mean_of_a_column_is_marked(tmp_path: Path) -> None:
    section = section_of(fabricate_grid(tmp_path))
    for metric, pick in (("mse", min), ("corr", max)):
        table = results_table(section, metric)
        for i in (0, 1, 2):
            means = {line.label: line.cells[i].value or 0.0 for line in table.lines}
            assert [line.label for line in table.lines if line.cells[i].mark == "best"] == [
                pick(means, key=means.__getitem__)
            ]
        assert not any(line.cells[3].mark for line in table.lines)


def test_null_is_undefined_and_absence_a_dash(tmp_path: Path) -> None:
    folders = [fabricate(tmp_path / "a", undefined=["corr"]), fabricate(tmp_path / "b", seed=1)]
    file = folders[1] / "records.jsonl"
    kept = [line for line in file.read_text().splitlines() if json.loads(line)["split"] != "test-flip"]
    file.write_text("\n".join(kept))
    (line,) = results_table(section_of(folders[:1]), "corr").lines
    assert [cell.text for cell in line.cells[2:4]] == ["undefined", "undefined"]
    (line,) = results_table(section_of(folders), "corr").lines
    assert line.cells[2].note == "1 of 2 seeds defined"
    both = [folders[0], fabricate(tmp_path / "c", method="cmir")]
    lines = (both[1] / "records.jsonl").read_text().splitlines()
    (both[1] / "records.jsonl").write_text("\n".join(x for x in lines if json.loads(x)["split"] != "test-zero"))
    assert results_table(section_of(both), "mse").lines[1].cells[2].text == "—"


def test_paired_cells_say_better_worse_or_unclear(tmp_path: Path) -> None:
    section = section_of(fabricate_grid(tmp_path))
    for metric in ("mse", "corr"):
        table = paired_table(section, metric)
        assert table is not None
        (line,) = table.lines
        assert [column.title for column in table.columns] == ["test-iid", "test-flip", "test-zero", "worst out − in"]
        assert [cell.mark for cell in line.cells[1:]] == ["better"] * 3
        ours, theirs = (section.clean(row, metric, "test-flip") for row in section.rows[::-1])
        assert line.cells[1].value == pytest.approx(sum((ours[s] or 0) - (theirs[s] or 0) for s in range(3)) / 3)


def rewritten(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    file = folder / "records.jsonl"
    file.write_text("".join(json.dumps(change(json.loads(line))) + "\n" for line in file.read_text().splitlines()))


def test_seeds_that_differ_by_one_amount_are_called_untested(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path)
    for ours, theirs in zip(folders[3:], folders[:3], strict=True):
        (ours / "records.jsonl").write_bytes((theirs / "records.jsonl").read_bytes())
        rewritten(ours, lambda r: r | {"method": "cmir", "value": r["value"] + 0.1})
    table = paired_table(section_of(folders), "corr")
    assert table is not None
    assert {(cell.note, cell.mark) for cell in table.lines[0].cells[:3]} == {
        ("untested · 3 equal seeds, no interval", "")
    }


def test_words_are_corrected_over_the_methods(tmp_path: Path) -> None:
    """Differences of erm's seeds with p = .02 each: significant alone, and among three methods not."""
    names = ("erm", "cmir", "imml", "irm")
    folders = fabricate_grid(tmp_path, names)
    steps = {0: 0.06, 1: 0.1, 2: 0.08}
    for name, own in zip(names[1:], (folders[3:6], folders[6:9], folders[9:]), strict=True):
        for seed, (ours, theirs) in enumerate(zip(own, folders[:3], strict=True)):
            (ours / "records.jsonl").write_bytes((theirs / "records.jsonl").read_bytes())
            rewritten(ours, lambda r, name=name, seed=seed: r | {"method": name, "value": r["value"] + steps[seed]})
    alone, among = (paired_table(section_of(part), "corr") for part in (folders[:6], folders))
    assert alone is not None
    assert among is not None
    assert alone.lines[0].cells[0].mark == "better"
    assert {line.cells[0].note for line in among.lines} == {"unclear · 3 seeds"}


def test_a_worst_group_says_what_it_passes_over(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    rewritten(folder, lambda r: r | ({"groups": 4, "undefined": 1} if r["group"].startswith("worst(") else {}))
    section = section_of([folder])
    (line,) = results_table(section, "mse").lines
    assert line.cells[-1].note == "worst of 3 of 4 groups (1 undefined)"
    table = groups_table(section, "mse")
    assert table is not None
    assert {line.cells[0].note for line in table.lines} == {"worst of 3 of 4 groups (1 undefined)", ""}


def test_a_method_with_an_undefined_seed_is_not_best(tmp_path: Path) -> None:
    folders = [*fabricate_grid(tmp_path / "g", seeds=2)]
    best = results_table(section_of(folders), "corr").lines[1].cells[1]
    assert best.mark == "best"
    rewritten(folders[3], lambda r: r | ({"value": None} if r["split"] == "test-flip" else {}))
    cells = [line.cells[1] for line in results_table(section_of(folders), "corr").lines]
    assert [cell.mark for cell in cells] == ["", ""]


def test_one_common_seed_has_no_interval(tmp_path: Path) -> None:
    table = paired_table(section_of(fabricate_grid(tmp_path, seeds=1)), "mse")
    assert table is not None
    assert {cell.note for cell in table.lines[0].cells} == {"1 common seed, no interval"}
    assert not any(cell.mark for cell in table.lines[0].cells)


def test_a_single_method_is_compared_with_nothing(tmp_path: Path) -> None:
    assert paired_table(section_of([fabricate(tmp_path / "a")]), "mse") is None


def test_groups_are_listed_worst_first(tmp_path: Path) -> None:
    table = groups_table(section_of(fabricate_grid(tmp_path, seeds=1)), "mse")
    assert table is not None
    shown = [(line.note, line.label) for line in table.lines[:3]]
    assert shown == [("test-iid", g) for g in ("worst(speaker)", "speaker=anna", "speaker=ben")]
    assert len(table.lines) == 9


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (-0.0001, "0.000"), (0.12349, "0.123"), (-12.345, "−12.35"), (0.0123, "0.01230")],
)
def test_numbers_are_written_for_a_reader(value: float, text: str) -> None:
    assert number(value, decimals([value])) == text or (value == -0.0001 and number(value, 3) == text)

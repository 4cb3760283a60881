"""Published numbers stand beside ours only where rows, protocol and inputs are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deconfound.references import Reference, published
from deconfound.report import build_report
from deconfound.report.published import check_references, not_comparable, published_table
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from deconfound.results.sections import Section
from deconfound.results.spread import spread
from support.fabricate import fabricate, fabricate_grid

SPLITS = {"train": 1284, "valid": 229, "test": 686}


def section_of(folders: list[Path]) -> Section:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return section


def mosi(folder: Path, **options: str) -> list[Path]:
    return fabricate_grid(folder, splits=SPLITS, dataset="mosi", **{"protocol": "mmsa-regression", **options})


def same(references: tuple[Reference, ...]) -> list[Reference]:
    """As if the publications had used the fabricated features."""
    return [replace(one, widths={"text": 16, "audio": 16, "vision": 16}) for one in references]


def test_comparable_numbers_stand_below_ours(tmp_path: Path) -> None:
    section = section_of(mosi(tmp_path))
    judged = check_references(section, same(published()))
    table = published_table(section, judged)
    assert table is not None
    assert [line.label for line in table.lines[:2]] == ["erm", "cmir"]
    column = [column.title for column in table.columns].index("mae")
    ours = spread(section.clean(section.rows[0], "mae", "test").values())
    assert table.lines[0].cells[column].value == ours.mean
    misa = next(line for line in table.lines if line.label == "MISA")
    assert misa.cells[column].value == 0.7765  # printed as 77.65
    assert "MMSA" in misa.note


def test_other_inputs_are_refused_with_the_reason_and_without_the_number(tmp_path: Path) -> None:
    folders = mosi(tmp_path / "runs")
    section = section_of(folders)
    judged = check_references(section, published())
    assert published_table(section, judged) is None
    reasons = dict(not_comparable(judged))
    (reason,) = [reason for reason in reasons if reason.startswith("its inputs are text 768")]
    assert "ours text 16" in reason
    assert "MISA" in reasons[reason][0]
    page = build_report(folders, tmp_path / "report.html", references=published()).read_text()
    assert "No published number is comparable with these runs." in page
    assert "0.7765" not in page
    assert "77.65" not in page


def test_another_protocol_is_refused(tmp_path: Path) -> None:
    section = section_of(mosi(tmp_path, protocol="regression"))
    judged = check_references(section, same(published()))
    assert published_table(section, judged) is None
    assert any("its protocol is mmsa-regression, ours regression" in reason for reason, _ in not_comparable(judged))


def test_another_dataset_has_nothing_to_say(tmp_path: Path) -> None:
    section = section_of([fabricate(tmp_path / "a")])
    assert check_references(section, published()) == []
    assert (
        "Published numbers"
        not in build_report([tmp_path / "a"], tmp_path / "r.html", references=published()).read_text()
    )


def test_methods_with_other_inputs_are_left_out(tmp_path: Path) -> None:
    folders = mosi(tmp_path / "a")
    more = {"dataset": "mosi", "protocol": "mmsa-regression", "splits": SPLITS}
    folders.append(fabricate(tmp_path / "b", method="erm", modalities=("text",), **more))
    section = section_of(folders)
    table = published_table(section, check_references(section, same(published())))
    assert table is not None
    assert sum(line.note == "this report" for line in table.lines) == 2
    assert len(section.rows) == 3

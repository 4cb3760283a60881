"""Commands, seeds and versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deconfound.errors import RunError
from deconfound.report.reproduce import Recipe, recipe
from deconfound.results.build_sections import build_sections
from deconfound.results.run_result import read_run
from support.fabricate import fabricate, fabricate_grid


def recipe_of(folders: list[Path], out: str = "report.html") -> Recipe:
    (section,) = build_sections([read_run(folder) for folder in folders])
    return recipe(section, [Path("runs") / folder.name for folder in folders], Path(out))


def test_every_run_evaluation_and_the_report_have_a_command(tmp_path: Path) -> None:
    found = recipe_of(fabricate_grid(tmp_path, seeds=2), "my report.html")
    assert found.before[0].startswith("# data: synthetic, checksum ")
    assert found.before[1] == "# made with: deconfound 0.1.0, torch 2.13.0, git commit 0123abc, git changed False"
    assert found.before[2] == "# seeds: erm 0, 1; cmir 0, 1"
    assert found.runs[0] == "deconfound train run.toml  # erm, seed 0, run erm-0"
    assert found.runs[3] == "deconfound train run.toml  # cmir, seed 1, run cmir-1"
    assert found.after[0] == "deconfound evaluate runs/erm-0"
    assert found.after[-1] == ("deconfound report runs/erm-0 runs/erm-1 runs/cmir-0 runs/cmir-1 --out 'my report.html'")
    assert found.text.splitlines() == [*found.before, *found.runs, *found.after]


def test_different_software_is_told_apart(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path, ("erm",), seeds=2)
    file = folders[1] / "environment.json"
    file.write_text(file.read_text().replace("2.13.0", "2.14.0"))
    found = recipe_of(folders)
    assert [line.split(":")[0] for line in found.before[1:3]] == ["# made with [1]", "# made with [2]"]
    assert [line[-3:] for line in found.runs] == ["[1]", "[2]"]


def test_no_name_adds_a_line_that_a_shell_would_run(tmp_path: Path) -> None:
    end = "x\r\n\u2028\x0btouch pwned\x1b[1m"
    folders = fabricate_grid(tmp_path, ("erm", f"m{end}"), seeds=1, dataset=f"data{end}")
    environment = json.loads((folders[0] / "environment.json").read_text())
    environment["command"] = ["deconfound", "train", f"a  b{end}"]
    environment["versions"] = {f"torch{end}": end}
    (folders[0] / "environment.json").write_text(json.dumps(environment))
    (folders[0] / "test_access.jsonl").write_text(json.dumps({"command": environment["command"]}) + "\n")
    found = recipe_of(folders)
    assert [line for line in found.text.splitlines() if not line.startswith(("# ", "deconfound "))] == []
    assert found.runs[0].startswith("deconfound train 'a  bx touch pwned'  # erm, seed 0")
    assert "\x1b" not in found.text


def test_a_sweep_is_one_command(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path, ("erm",), seeds=2)
    for folder in folders:
        environment = json.loads((folder / "environment.json").read_text())
        environment["command"] = ["/usr/bin/deconfound", "sweep", "grid.toml", "--out", "grid"]
        (folder / "environment.json").write_text(json.dumps(environment))
        opening = json.dumps({"command": environment["command"]})
        (folder / "test_access.jsonl").write_text(opening + "\n")
    found = recipe_of(folders)
    assert found.text.count("deconfound sweep grid.toml --out grid") == 1
    assert len(found.after) == 1


def test_a_command_that_nobody_recorded_is_said_to_be_missing(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    environment = json.loads((folder / "environment.json").read_text())
    del environment["command"], environment["versions"], environment["git"]
    (folder / "environment.json").write_text(json.dumps(environment))
    found = recipe_of([folder])
    assert "# made with: versions that were not recorded" in found.before
    assert found.runs[0].startswith("# no command recorded for a")


def test_a_command_cannot_leave_its_line(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a", name="two\nlines")
    environment = json.loads((folder / "environment.json").read_text())
    environment["command"] = ["deconfound", "train", "a\nrm -r b"]
    (folder / "environment.json").write_text(json.dumps(environment))
    assert "\n" not in recipe_of([folder]).runs[0]


@pytest.mark.parametrize("text", ["{", "[1]\n", "\ud800"])
def test_a_damaged_log_of_openings_is_refused(tmp_path: Path, text: str) -> None:
    folder = fabricate(tmp_path / "a")
    (folder / "test_access.jsonl").write_text(json.dumps({"command": text}) if text == "\ud800" else text)
    with pytest.raises(RunError, match=r"test_access\.jsonl is damaged"):
        read_run(folder)

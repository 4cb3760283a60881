"""Names that attack, in every field of a dataset, a method and a scenario: what is written and shown stays inert."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

from deconfound.cli import app as cli
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.store import save
from deconfound.data.task import Task
from deconfound.io.toml_writer import toml_text
from support.browsing import opened, saved, settle

Call = Callable[..., str]
pytestmark = pytest.mark.slow
MARKUP = "</script><svg onload=pwned=1><img src=x onerror=pwned=1><script>pwned=1</script><!--{{7*7}}\"'`&"
TERMINAL = "\x1b[31m\x1b]0;title\x07\x9b2J\r\x08\u202e\u2028"
SPLIT = f"=cmd(split){MARKUP}"  # printable, as the scenarios of their names must be
MODALITY = f"=cmd(modality){MARKUP}"
ROWS = 96


def evil(field: str) -> str:
    """A name that a spreadsheet, a page and a terminal would each take for more than text."""
    return f"=cmd({field}){MARKUP}{TERMINAL}\nwarning: forged"


def hostile() -> Dataset:
    """Two classes, two speakers; the first modality shows the class."""
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(ROWS) % 2
    ones = torch.ones(ROWS, 1, dtype=torch.bool)
    told = target[:, None, None] + 0.5 * torch.randn(ROWS, 1, 3, generator=generator)
    noise = torch.randn(ROWS, 1, 2, generator=generator)
    splits = ["train"] * 48 + ["valid"] * 24 + [SPLIT] * 24
    return Dataset.build(
        evil("dataset"),
        Task.classification((evil("class"), "=1+1")),
        {MODALITY: Signal(told, ones), "@sum": Signal(noise, ones.clone())},
        target,
        {
            "id": [evil(f"id{row}") for row in range(ROWS)],
            evil("column"): [evil(f"speaker{row // 2 % 2}") for row in range(ROWS)],
        },
        splits,
        environment=(evil("column"),),
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run a command; its whole output must hold no control character."""

    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            cli.main([str(word) for word in words])
        captured = capfd.readouterr()
        assert end.value.code == code, captured.err
        for text in captured:
            assert [letter for letter in text if letter != "\n" and not letter.isprintable()] == []
            assert "\nwarning: forged" not in text or "csv" in words or "predict" in words  # a quoted cell has lines
        return captured.out

    return run


@pytest.fixture
def run(home: Path, call: Call) -> Path:
    """A trained and evaluated run beside its store, made once."""
    if (home / "run").exists():
        return home / "run"
    save(hostile(), home / "store")
    spec = {
        "name": evil("label"),
        "method": {"name": "erm"},
        "data": {"store": str(home / "store")},
        "train": {"epochs": 2, "batch_size": 16, "threads": 1},
    }
    (home / "spec.toml").write_text(toml_text(spec), encoding="utf-8")
    name = "=cmd(scenario)" + MARKUP
    scenario = {"name": name, "corruption": "gaussian", "split": SPLIT, "severities": [0.5, 1.0]}
    (home / "scenarios.toml").write_text("[[scenario]]\n" + toml_text(scenario), encoding="utf-8")
    call("train", home / "spec.toml", "--out", home / "run")
    call("evaluate", home / "run")
    call("evaluate", home / "run", "--scenarios", home / "scenarios.toml")
    return home / "run"


def cells(text: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.decode(), newline="")))


def test_no_command_shows_more_than_text(home: Path, run: Path, call: Call) -> None:
    call("data", "check", home / "store")
    assert "=cmd(dataset)</script><svg onload" in call("data", "describe", home / "store")
    call("diagnose", run, "--permutations", "3")
    call("predominance", run)
    call("predominance", home / "store")
    for form in ("md", "latex", "csv"):
        call("table", run, "--format", form)
    call("predict", run, home / "store")
    call("data", "describe", home / TERMINAL, code=2)
    call(TERMINAL, code=2)


def test_no_export_holds_a_formula_unless_asked(home: Path, run: Path, call: Call, tmp_path: Path) -> None:
    commands = {"predict": ("predict", run, home / "store"), "shares": ("predominance", run)}
    commands["table"] = ("table", run, "--format", "csv")
    for name, words in commands.items():
        call(*words, "--out", tmp_path / f"{name}.csv")
        call(*words, "--out", tmp_path / f"{name}-raw.csv", "--raw")
        safe, raw = (cells((tmp_path / f"{name}{end}.csv").read_bytes()) for end in ("", "-raw"))
        assert not any(cell.startswith(tuple("=+-@\t\r")) and not _is_number(cell) for row in safe for cell in row)
        assert any(cell.startswith("=") for row in raw for cell in row)
        assert [[cell.removeprefix("'") for cell in row] for row in safe] == raw
    ids = [row[0] for row in cells((tmp_path / "predict-raw.csv").read_bytes())[1:]]
    assert sorted(ids) == sorted(evil(f"id{row}") for row in range(ROWS))
    lines = call("predict", run, home / "store", "--json").splitlines()
    assert sorted(json.loads(line)["id"] for line in lines) == sorted(ids)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_a_pipe_gets_raw_ids_and_a_filter_otherwise(home: Path, run: Path) -> None:
    def piped(*words: str) -> bytes:
        command = [sys.executable, "-m", "deconfound.cli", "predict", str(run), str(home / "store"), *words]
        return subprocess.run(command, capture_output=True, check=True).stdout

    assert b"\x1b[31m" in piped("--raw")
    assert b"\x1b" not in piped()


def on_a_terminal(*words: object) -> str:
    """What a command shows on a terminal of 100 columns."""
    command = [sys.executable, "-m", "deconfound.cli", *map(str, words)]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # Linux says so when the other end is closed
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert process.wait() == 0, shown.decode()
    return shown.decode()


def test_on_a_terminal_only_our_bars_move_the_cursor(home: Path, run: Path, tmp_path: Path) -> None:
    shown = on_a_terminal("train", home / "spec.toml", "--out", tmp_path / "run")
    assert "\x1b[A" in shown
    shown += on_a_terminal("evaluate", tmp_path / "run", "--scenarios", home / "scenarios.toml")
    shown += on_a_terminal("predict", run, home / "store", "--raw")
    assert "evaluating 1/1: =cmd(scenario)" in shown
    text = re.sub(r"\x1b\[A|[\r\n]", "", shown)
    assert [letter for letter in text if not letter.isprintable()] == []


def inert(page: Any) -> None:
    assert page.evaluate("window.pwned") is None
    assert page.locator("svg[onload], img, script[src]").count() == 0


def test_no_page_runs_what_a_name_holds(browser: Any, home: Path, run: Path, call: Call) -> None:
    call("data", "describe", home / "store", "--out", home / "data.html")
    call("diagnose", run, "--permutations", "3", "--svg", home / "parts.html")
    call("predominance", run, "--mask")
    call("report", run, "--out", home / "report.html")
    for name in ("data", "parts", "report"):
        with opened(browser, home / f"{name}.html") as page:
            settle(page)
            assert page.locator("svg.marks").count() > 0
            drawn = page.locator(".chart svg.marks, #chart svg.marks").count()
            assert drawn == page.locator(".chart:not(:has(.empty)), #chart").count() > 0
            page.locator("svg.marks :is(.mark-symbol, .mark-rect).role-mark path:visible").last.hover(force=True)
            page.locator("#vg-tooltip-element.visible").wait_for()
            inert(page)
            assert "<svg onload=pwned=1>" in page.locator("body").text_content()
            policy = page.locator("meta[http-equiv]").get_attribute("content")
            assert policy.count("'sha256-") == 2
            assert "unsafe" not in policy.split("script-src")[1]


def test_a_file_of_json_or_svg_is_inert_whatever_it_is_called(browser: Any, home: Path, run: Path, call: Call) -> None:
    call("diagnose", run, "--permutations", "3", "--out", home / "json.html", "--svg", home / "parts.svg")
    call("data", "describe", home / "store", "--out", home / "data.svg")
    call("table", run, "--out", home / "table.html")
    assert json.loads((home / "json.html").read_text())["dataset"] == evil("dataset")
    for name in ("json.html", "table.html", "parts.svg", "data.svg"):
        with opened(browser, home / name) as page:
            inert(page)
    for name in ("parts.svg", "data.svg"):
        root = ElementTree.parse(home / name).getroot()
        assert not any(element.tag.endswith("script") for element in root.iter())
        assert not any(key.startswith("on") for element in root.iter() for key in element.attrib)


def test_no_name_is_a_command_for_whoever_pastes_a_recipe(browser: Any, home: Path, run: Path, call: Call) -> None:
    call("report", run, "--out", home / "report.html")
    with opened(browser, home / "report.html") as page:
        settle(page)
        page.evaluate("document.querySelectorAll('details.recipe').forEach((d) => (d.open = true))")
        page.locator("details.recipe pre", has_text="# figure: ").first.wait_for()
        recipes = page.locator("details.recipe pre, pre.commands").all_text_contents()
    lines = [line for recipe in recipes for line in recipe.splitlines()]
    assert any(line.startswith("# figure: =cmd(label)") for line in lines)
    assert [line for line in lines if "=cmd(" in line and not line.startswith("# ") and "  # " not in line] == []
    assert not any(line.startswith("warning: forged") for line in lines)


def test_the_page_downloads_no_formula(browser: Any, home: Path, run: Path, call: Call) -> None:
    call("report", run, "--out", home / "report.html")
    with opened(browser, home / "report.html") as page:
        settle(page)
        charts = [chart.get_attribute("id") for chart in page.locator(".chart:has(svg.marks)").all()]
        texts = [saved(page, chart, "csv")[1] for chart in charts]
    found = [cell for text in texts for row in cells(text) for cell in row]
    assert any(cell.startswith("'=cmd(label)") for cell in found)
    assert not any(cell.startswith(tuple("=+-@\t\r")) and not _is_number(cell) for cell in found)

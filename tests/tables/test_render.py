"""Tables as text: digits, marks, escapes, the three formats and the command."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deconfound.cli import table as cli_table
from deconfound.errors import SpecError
from deconfound.evaluation.records import read_records, write_records
from deconfound.tables import to_latex, to_markdown
from deconfound.tables.escape import escape_latex, escape_markdown
from deconfound.tables.render import decimals, number
from support.table_runs import FEW, grid, one, rows_of_csv, write_run


@pytest.mark.parametrize(
    ("half", "value", "digits", "text"),
    [
        (0.0203, 0.31234, 3, "0.312"),
        (0.0354, 0.31234, 3, "0.312"),
        (0.0355, 0.31234, 2, "0.31"),
        (0.0041, 0.31234, 3, "0.312"),
        (0.0098, 0.31234, 3, "0.312"),
        (1.2, 12.345, 1, "12.3"),
        (120.0, -1234.0, -1, "−1230"),
        (60.0, 1234.0, -1, "1230"),
        (None, 0.0012345, 5, "0.00123"),
        (0.0, 1234.5, -1, "1230"),
        (None, 0.0, 2, "0.00"),
    ],
)
def test_a_value_ends_where_its_interval_does(half: float | None, value: float, digits: int, text: str) -> None:
    assert decimals(half, value) == digits
    assert number(value, digits) == text


def test_zero_has_no_sign() -> None:
    assert number(-0.0004, 2) == "0.00"


def test_cells_can_show_intervals_and_differences(tmp_path: Path) -> None:
    table = one(grid(tmp_path, {"erm": 0.5, "cmir": 0.3}))
    cmir = to_markdown(table, "difference").splitlines()[3]
    assert cmir.startswith("| cmir | 4 | **−0.1")
    assert "\\[−" in cmir
    assert "Method − erm over common seeds" in to_markdown(table, "difference")
    assert "[" in to_latex(table, "interval").splitlines()[9]
    assert "±" not in to_markdown(table, "interval")


def test_a_worst_group_says_among_how_many_it_is(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.3}, seeds=2)
    for path in paths[2:]:
        kept = read_records(path / "records.jsonl")
        seed = int(path.name[-1])
        counted = [replace(r, groups=4, undefined=seed) if r.group.startswith("worst(") else r for r in kept]
        write_records(path / "records.jsonl", counted)
    table = one(paths, group="worst(speaker)")
    text = to_markdown(table)
    assert text.count("worst of 3 of 4 groups (1 undefined)") == len(table.columns)
    rows = {row["method"]: row for row in rows_of_csv(table)}
    assert (rows["cmir"]["groups"], rows["cmir"]["undefined_groups"]) == ("4", "1")
    assert (rows["erm"]["groups"], rows["erm"]["undefined_groups"]) == ("", ""), "records that do not say"


def test_markdown_is_one_table_and_says_what_must_be_known(tmp_path: Path) -> None:
    text = to_markdown(one(grid(tmp_path, {"erm": 0.5, "cmir": 0.3, "a|b_*": 0.3})))
    lines = text.splitlines()
    assert [line.count(" | ") for line in lines[:1] + lines[2:5]] == [3] * 4
    assert "| a\\|b\\_\\* | 4 |" in text
    for said in ("protocol regression", "Selection: runs as given", "Seeds: 0, 1, 2, 3.", "baseline erm", "Holm"):
        assert said in text
    assert "Test: paired t-test over seeds and rows, two-sided, α = 0.05." in text


def test_latex_is_booktabs_with_nothing_left_to_escape(tmp_path: Path) -> None:
    text = to_latex(one(grid(tmp_path, {"erm": 0.5, "50%_#{}~^\\": 0.3}), metrics=("mse", "corr")))
    for word in (r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule(lr){3-4} \cmidrule(lr){5-6}", r"\textbf{"):
        assert word in text
    assert r"50\%\_\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{} & 4" in text
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [line.replace(r"\&", "").count("&") for line in body[1:]] == [5] * 3
    assert text.isascii()
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_escapes() -> None:
    assert escape_markdown("a|b\n*c*_[x]<y>`z`") == "a\\|b \\*c\\*\\_\\[x\\]&lt;y&gt;\\`z\\`"
    assert escape_markdown("&lt;b> \x1b[1m a\rb") == "&amp;lt;b&gt; a b"
    assert escape_latex("a_b & 5% ± $x$ <é>") == r"a\_b \& 5\% $\pm$ \$x\$ \textless{}é\textgreater{}"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("[2cm] a", "{}[2cm] a"),
        ("* a [b]", "{}* a [b]"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ('"a" `b`', r"{\char34}a{\char34} {`}b{`}"),
        ("a\r\n\x00b\x1b[1m^^41", r"a b\textasciicircum{}\textasciicircum{}41"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
    ],
)
def test_latex_takes_no_option_no_dash_and_no_command_from_a_name(text: str, escaped: str) -> None:
    assert escape_latex(text) == escaped


def test_no_name_breaks_a_table(tmp_path: Path) -> None:
    evil = "[3cm]|\n| * \\ <script>&`-x\r\u2028"
    table = one(grid(tmp_path, {"erm": 0.5, evil: 0.3}, splits=("test-iid", "*[" + evil)))
    rows = [line for line in to_latex(table).splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert not any(line.startswith(("[", "*")) for line in rows)
    lines = to_markdown(table).splitlines()
    assert [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines[:4]] == [5] * 4
    assert lines[4] == ""
    assert not any("<" in line for line in lines)
    markdown = pytest.importorskip("markdown")
    page = markdown.markdown(to_markdown(table), extensions=["tables"])
    assert (page.count("<table>"), page.count("<tr>"), page.count("<td"), "<script" in page) == (1, 3, 8, False)


def test_csv_is_in_full_precision_and_never_percent(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.3}, protocol="classification")
    table = one(paths)
    found = rows_of_csv(table)
    assert len(found) == 4
    first = table.lines[0].cells[0]
    assert float(found[0]["mean"]) == first.spread.mean
    assert first.interval is not None
    assert float(found[0]["high"]) == first.interval.high
    assert all(0 <= float(row["mean"]) <= 1 for row in found)
    assert {row["protocol"] for row in found} == {"classification"}
    assert found[2]["baseline"] == "erm"
    assert float(found[2]["p_corrected"]) >= float(found[2]["p"])


def command(*words: object) -> object:
    app = typer.Typer()
    app.command()(cli_table.table)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    paths = grid(tmp_path, {"erm": 0.5, "cmir": 0.3}, seeds=2)
    options = ("--resamples", FEW, "--metric", "mae", "--scenario", "test-flip")
    done = command(*paths, *options)
    assert done.exit_code == 0, done.output  # type: ignore[attr-defined]
    assert done.output.startswith("| Method | Seeds | mae test-flip ↓ |")  # type: ignore[attr-defined]
    done = command(*paths, *options, "--format", "latex", "--out", tmp_path / "t.tex")
    assert f"wrote {tmp_path / 't.tex'}" in done.output  # type: ignore[attr-defined]
    assert (tmp_path / "t.tex").read_text().startswith(r"\begin{table}")


def test_two_protocols_do_not_share_a_csv(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / "a"), write_run(tmp_path / "b", protocol="mag-nonzero", dataset="Mosi")]
    done = command(*paths, "--format", "csv", "--resamples", FEW)
    assert isinstance(done.exception, SpecError)  # type: ignore[attr-defined]
    assert "give --out FILE.csv" in str(done.exception)  # type: ignore[attr-defined]
    command(*paths, "--format", "csv", "--resamples", FEW, "--out", tmp_path / "t.csv")
    files = sorted(path.name for path in tmp_path.glob("*.csv"))
    assert [name.split("-")[1] for name in files] == ["made", "mosi"]
    for name in files:
        text = (tmp_path / name).read_text()
        assert len({row["protocol"] for row in csv.DictReader(io.StringIO(text))}) == 1

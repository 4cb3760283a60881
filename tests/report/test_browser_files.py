"""Files that a reader downloads from the page: SVG, PDF and CSV of what a figure shows."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from scipy.stats import linregress

from deconfound.report import build_report
from support.browsing import choose, opened, saved
from support.fabricate import fabricate


def rows_of(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode())))


def objects_of(pdf: bytes) -> list[bytes]:
    """Objects of a file, found through its table of places as a reader finds them."""
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF", pdf)[1])  # type: ignore[index]
    assert pdf[start:].startswith(b"xref\n")
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n ", pdf[start:])]
    for number, place in enumerate(places, start=1):
        assert pdf[place:].startswith(b"%d 0 obj\n" % number)
    return [pdf[place : pdf.index(b"endobj", place)] for place in places]


def test_svg_is_light_and_has_its_legend(browser: Any, rich: Path) -> None:
    with opened(browser, rich, color_scheme="dark") as page:
        choose(page, "s1", "metric", "corr")
        name, data = saved(page, "s1-robust-1", "svg")
    assert name == "Gaussian-noise-corr.svg"
    root = ElementTree.fromstring(data)
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"Gaussian noise", "corr · higher is better", "erm", "cmir"} <= texts
    fills = {element.get("fill") for element in root.iter()}
    assert "white" in fills
    assert "#1b1f24" in fills  # ink on paper, whatever the page looks like


def test_every_figure_has_all_three_files(browser: Any, rich: Path) -> None:
    with opened(browser, rich) as page:
        charts = [chart.get_attribute("id") for chart in page.locator(".chart").all()]
        kinds = dict.fromkeys(re.sub(r"^s\d|-\d+$", "", chart) for chart in charts)
        for kind in kinds:
            chart = next(chart for chart in charts if re.sub(r"^s\d|-\d+$", "", chart) == kind)
            assert ElementTree.fromstring(saved(page, chart, "svg")[1]).tag.endswith("svg")
            assert len(rows_of(saved(page, chart, "csv")[1])) > 0
            name, pdf = saved(page, chart, "pdf")
            assert name.endswith(".pdf")
            assert re.match(rb"%PDF-1\.\d\n", pdf)
            assert len(objects_of(pdf)) == 4
        assert len(kinds) == 10


def test_pdf_holds_the_letters_and_lines_of_the_svg(browser: Any, rich: Path) -> None:
    with opened(browser, rich) as page:
        svg = ElementTree.fromstring(saved(page, "s1-robust-1", "svg")[1])
        objects = objects_of(saved(page, "s1-robust-1", "pdf")[1])
    content = objects[3]
    shown = [text.decode("cp1252") for text in re.findall(rb"\(((?:[^()\\]|\\.)*)\) Tj", content)]
    shown = [re.sub(r"\\(.)", r"\1", text).replace("–", "−") for text in shown]
    written = [element.text for element in svg.iter() if element.tag.endswith("text") and element.text]
    assert sorted(shown) == sorted(written)
    box = [float(x) for x in re.search(rb"MediaBox \[([^]]*)\]", objects[2])[1].split()]  # type: ignore[index]
    assert box[2:] == [float(svg.get("width") or 0), float(svg.get("height") or 0)]
    assert len(re.findall(rb"^q$", content, re.M)) == len(re.findall(rb"^Q$", content, re.M)) > 0
    painted = re.findall(rb"([\d.]+) ([\d.]+) [lm]\b", content)
    assert painted
    assert all(-1 <= float(x) <= box[2] + 1 and -1 <= float(y) <= box[3] + 1 for x, y in painted)


def test_letters_that_helvetica_lacks_become_pictures(browser: Any, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a", speakers=["张伟", "bé(n)"])
    with opened(browser, build_report([folder], tmp_path / "report.html")) as page:
        objects = objects_of(saved(page, "s1-groups-1", "pdf")[1])
    assert len(objects) == 5
    assert b"/Subtype /Image" in objects[4]
    assert b"\xff\xd8\xff" in objects[4]
    assert rb"(speaker=b" + b"\xe9" + rb"\(n\)) Tj" in objects[3]
    assert b"/I0 Do" in objects[3]


def test_csv_of_the_scatter_is_the_runs_and_their_line(browser: Any, rich: Path) -> None:
    with opened(browser, rich) as page:
        name, data = saved(page, "s2-shift-1", "csv")
    assert name == "Every-run-under-shift-accuracy-test-flip.csv"
    rows = rows_of(data)
    erm = [row for row in rows if row["method"] == "erm"]
    assert [row["run"] for row in erm] == ["erm-0", "erm-1", "erm-2"]
    oracle = linregress([float(row["x"]) for row in erm], [float(row["y"]) for row in erm])
    for end in (row for row in rows if row["kind"] == "line"):
        assert float(end["y"]) == pytest.approx(oracle.intercept + oracle.slope * float(end["x"]), rel=2e-2)
    assert any(row["method"] == "</script><b>evil" for row in rows)


def test_csv_quotes_what_needs_it(browser: Any, tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a", name='a,"b"')
    with opened(browser, build_report([folder], tmp_path / "report.html")) as page:
        _, data = saved(page, "s1-robust-1", "csv")
    assert {row["method"] for row in rows_of(data)} == {'a,"b"'}
    assert data.endswith(b"\r\n")

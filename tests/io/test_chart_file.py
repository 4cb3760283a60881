"""Charts as files: whatever their texts hold, SVG is well-formed and a page is inert."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair as alt
import pytest

from deconfound.errors import DataError, RunError
from deconfound.io.chart_file import check_chart_path, write_chart
from support.browsing import opened, settle

ATTACK = "</script><svg onload=pwned=1><img src=x onerror=pwned=1>\x00\x1b[1m\ud800"
SHOWN = "</script><svg onload=pwned=1><img src=x onerror=pwned=1>\ufffd"


def chart() -> alt.Chart:
    values = [{"x": 1, "name": ATTACK}]
    return alt.Chart(alt.Data(values=values), title=ATTACK).mark_bar().encode(x="x:Q", y=alt.Y("name:N", title=ATTACK))


def test_svg_is_well_formed_and_has_no_script(tmp_path: Path) -> None:
    root = ElementTree.parse(write_chart(chart(), tmp_path / "deep" / "made.SVG", "title")).getroot()
    assert {element.tag.split("}")[1] for element in root.iter()} <= {
        "svg",
        "g",
        "path",
        "text",
        "rect",
        "line",
        "defs",
    }
    assert SHOWN in {element.text for element in root.iter()}


def test_a_page_is_drawn_without_a_network_and_saves_files(browser: Any, tmp_path: Path) -> None:
    with opened(browser, write_chart(chart(), tmp_path / "made.html", ATTACK)) as page:
        settle(page)
        assert page.title() == SHOWN
        assert page.locator("#chart svg.marks text", has_text="onload").count() == 3
        assert page.evaluate("window.pwned") is None
        page.locator("summary").click()
        with page.expect_download() as download:
            page.locator(".vega-actions a", has_text="SVG").click()
        assert ElementTree.parse(download.value.path()).getroot().tag.endswith("svg")


def test_the_policy_stops_a_script_that_got_in(browser: Any, tmp_path: Path) -> None:
    inject = """() => {
      document.body.insertAdjacentHTML("beforeend", "<svg onload='window.pwned=1'><img src=x onerror='window.pwned=1'>");
      document.body.append(Object.assign(document.createElement("script"), { textContent: "window.pwned=1" }));
    }"""
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(write_chart(chart(), tmp_path / "made.html", "title").as_uri())
    settle(page)
    page.evaluate(inject)
    page.wait_for_timeout(100)
    assert page.evaluate("window.pwned") is None
    assert any("Content Security Policy" in line for line in said)
    page.close()


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"made\.png: a chart is written as \.html or \.svg"):
        check_chart_path(tmp_path / "made.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        write_chart(chart(), tmp_path / "file" / "made.svg", "title")

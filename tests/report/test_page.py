"""The page as text: self-contained, escaped, complete, small."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from deconfound.errors import RunError
from deconfound.report import build_report
from support.fabricate import fabricate, fabricate_grid, fabricate_sweep

EVIL = "</script><img src=x onerror=alert(1)>\"'&{{7*7}}"


class Tags(HTMLParser):
    """Start tags, visible text and script bodies."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.text += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("runs")
    return build_report(fabricate_grid(folder), folder / "report.html").read_text()


def test_nothing_is_fetched(page: str) -> None:
    tags = Tags(page)
    for tag, attributes in tags.tags:
        for name in ("src", "srcset", "action", "data", "poster"):
            assert name not in attributes, tag
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))
        assert not any(name.startswith("on") for name in attributes)
    styles = " ".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert "url(" not in styles
    assert "@import" not in styles
    own = tags.scripts[-1]
    assert "vegaEmbed(" in own
    assert not re.search(r"https?:|fetch\(|import\(|XMLHttpRequest", own)
    data = [json.loads(script) for script in tags.scripts if script.startswith("{")]
    assert data
    specs = json.loads(next(script for script in tags.scripts if script.startswith("[")))
    assert {chart["spec"] for chart in data if "spec" in chart} == set(range(len(specs)))
    assert "http" not in json.dumps(specs)
    policy = next(a["content"] for _, a in tags.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1]
    assert "'unsafe-eval'" not in policy


def test_the_page_is_small(page: str) -> None:
    assert len(page.encode()) < 1_000_000


def test_protocol_selection_and_seeds_stand_at_each_table(page: str) -> None:
    text = " ".join(Tags(page).text.split())
    rule = "Protocol regression. Selection: best epoch by validation risk; test rows never read in training."
    assert text.count(rule) == 3
    assert "mean ± standard deviation over seeds" in text
    assert "paired over seeds, with the 95 % t-interval" in text
    assert "3 seeds" in text


def test_every_table_has_a_caption_and_every_figure_a_download(page: str) -> None:
    tags = [tag for tag, _ in Tags(page).tags]
    assert tags.count("table") == tags.count("caption")
    saves = [a for _, a in Tags(page).tags if a.get("class") == "save"]
    charts = [a for _, a in Tags(page).tags if a.get("class") == "chart"]
    assert len(charts) == 15  # shift, runs, ranks, two corruptions, missing, two lattices, groups, risk and five terms
    assert len({(a["data-chart"], a["data-format"]) for a in saves}) == len(saves) == 3 * len(charts)
    assert all(a.get("aria-label", "") for a in saves)


def test_metric_scenario_group_and_view_can_be_chosen(page: str) -> None:
    options = [a["value"] for tag, a in Tags(page).tags if tag == "option"]
    subsets = ["text", "audio", "vision", "text+audio", "text+vision", "audio+vision"]
    places = ["test-iid", "test-flip", "test-zero", "gaussian", "drop-frames", *(f"present={s}" for s in subsets)]
    groups = ["all", "worst(speaker)", "speaker=anna", "speaker=ben"]
    assert options == ["mse", "mae", "corr", "r2", *places, *groups, "value", "difference"]


def test_names_from_files_are_text_only(tmp_path: Path) -> None:
    folder = fabricate(
        tmp_path / "a",
        name=EVIL,
        dataset=EVIL,
        method=EVIL,
        modalities=(EVIL, "audio"),
        arguments={EVIL: EVIL},
        splits={"train": 1, "valid": 1, "test": 1, EVIL: 1},
    )
    log = folder / "log.csv"
    log.write_text(log.read_text() + '0,0,train,"' + EVIL.replace('"', '""') + '",1.0\n')
    page = build_report([folder], tmp_path / "report.html").read_text()
    tags = Tags(page)
    assert "img" not in {tag for tag, _ in tags.tags}
    assert not any(name.startswith("on") for _, attributes in tags.tags for name in attributes)
    assert EVIL in tags.text
    assert "{{7*7}}" in tags.text
    own = [script for script in tags.scripts if script.startswith("{")]
    assert own
    assert not any("<" in script for script in own)
    charts = [found for script in own if "data" in (found := json.loads(script))]
    assert any(EVIL in chart["data"]["levels"].get("method", ()) for chart in charts)


def test_other_data_and_protocols_have_their_own_section(tmp_path: Path) -> None:
    folders = [fabricate(tmp_path / "a"), fabricate(tmp_path / "b", dataset="mosi", protocol="mmsa-regression")]
    tags = Tags(build_report(folders, tmp_path / "report.html").read_text())
    assert sum(tag == "section" for tag, _ in tags.tags) == 2
    assert "what differs in data or protocol is never compared" in tags.text


def test_a_sweep_says_how_it_selected_and_the_oracle_is_an_alarm(tmp_path: Path) -> None:
    text = Tags(build_report([fabricate_sweep(tmp_path / "a")], tmp_path / "1.html").read_text()).text
    assert "4 runs, chosen among 8." in text
    assert "hyper-parameters by the rule “valid”, on validation records alone" in text
    assert "Oracle selection." not in text
    tags = Tags(build_report([fabricate_sweep(tmp_path / "b", "oracle")], tmp_path / "2.html").read_text())
    words = " ".join(tags.text.split())
    assert "Oracle selection. Hyper-parameters were chosen by looking at the test rows." in words
    assert (
        words.count("Selection: best epoch by validation risk; hyper-parameters by the rule “oracle”, WHICH LOOKS") == 3
    )
    assert sum(a.get("class") == "oracle" for _, a in tags.tags) == 2


def test_openings_of_the_test_rows_are_counted(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    log = folder / "test_access.jsonl"
    log.write_text(2 * log.read_text())
    assert "predicted 2 times per run" in Tags(build_report([folder], tmp_path / "report.html").read_text()).text


def test_many_methods_begin_with_a_few(tmp_path: Path) -> None:
    methods = ["erm", *(f"m{i}" for i in range(9))]
    tags = Tags(build_report(fabricate_grid(tmp_path, methods, seeds=1), tmp_path / "report.html").read_text())
    pressed = [a["aria-pressed"] for _, a in tags.tags if a.get("class") == "method"]
    assert pressed == ["true"] * 8 + ["false"] * 2
    assert "The figures begin with 8 of 10 methods" in tags.text


def test_undefined_values_are_said_to_be(tmp_path: Path) -> None:
    page = build_report([fabricate(tmp_path / "a", undefined=["mse"])], tmp_path / "report.html").read_text()
    assert '<span class="none">undefined</span>' in page


def test_the_same_runs_give_the_same_page_and_a_run_counts_once(tmp_path: Path) -> None:
    folders = fabricate_grid(tmp_path, seeds=1)
    first = build_report(folders, tmp_path / "1.html").read_bytes()
    assert build_report([*folders, folders[0]], tmp_path / "1.html").read_bytes() == first


def test_a_failure_leaves_the_old_page(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("old")
    with pytest.raises(RunError, match="is not a run directory"):
        build_report([tmp_path / "none"], out)
    with pytest.raises(RunError, match="there is no run to compare"):
        build_report([], out)
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    folder = fabricate(tmp_path / "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        build_report([folder], tmp_path / "file" / "report.html")


def test_importing_the_report_loads_nothing_heavy() -> None:
    code = (
        "import sys, deconfound.report; print([m for m in ('torch', 'pandas', 'altair', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The page in headless Chromium: charts are drawn, controls work, the console stays silent."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deconfound.report import build_report
from report.fabricate import fabricate, fabricate_grid

DRIVER = """<script>
const wait = setInterval(async () => {
  if (document.documentElement.dataset.drawn !== "true") return;
  clearInterval(wait);
  const report = {};
  const texts = (selector) => [...document.querySelectorAll(selector)].map((node) => node.textContent.trim());
  const pause = () => new Promise((done) => setTimeout(done, 300));
  const select = document.querySelector(".metric");
  select.value = "corr";
  select.dispatchEvent(new Event("change"));
  document.querySelector("details.numbers").open = true;
  await pause();
  report.captions = texts(".results caption").filter((_, i) => document.querySelectorAll(".results")[i].offsetParent);
  report.title = texts(".chart svg .role-title-text")[0];
  report.numbers = texts(".numbers[open] tbody tr").length;
  const marks = () => document.querySelectorAll("[id$=f0] .mark-symbol.role-mark path").length;
  report.before = marks();
  document.querySelectorAll(".method")[1].click();
  await pause();
  report.after = marks();
  const background = () => getComputedStyle(document.body).backgroundColor;
  const light = background();
  document.getElementById("theme").click();
  await pause();
  report.themed = background() !== light;
  const kept = [];
  URL.createObjectURL = (blob) => { kept.push(blob); return "#"; };
  HTMLAnchorElement.prototype.click = function () { report.file = this.download; };
  document.querySelectorAll(".save")[1].click();
  await pause();
  report.svg = await kept[0].text();
  const out = document.createElement("pre");
  out.id = "driven";
  out.textContent = JSON.stringify(report);
  document.body.append(out);
}, 50);
</script>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI must look at the report: install Chromium")
        pytest.skip("Chromium is not installed: the page was not looked at")
    return found


def visit(chromium: str, page: Path, profile: Path, width: int = 1280) -> tuple[str, list[str]]:
    """The document after its scripts have run, and what the console said."""
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        f"--user-data-dir={profile}",
        f"--window-size={width},1500",
        "--virtual-time-budget=15000",
        "--enable-logging=stderr",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, re.findall(r"CONSOLE.*", done.stderr)


def test_charts_are_drawn_and_the_console_is_silent(chromium: str, tmp_path: Path) -> None:
    runs = fabricate_grid(tmp_path / "runs", seeds=2)
    runs += [
        fabricate(tmp_path / "evil", name="</script><b>evil", undefined=["mse"]),
        fabricate(tmp_path / "m", dataset="m"),
    ]
    page = build_report(runs, tmp_path / "report.html")
    dom, console = visit(chromium, page, tmp_path / "profile")
    assert console == []
    charts = len(re.findall(r'<div class="chart[^"]*"', dom))
    assert charts == 10 + 7  # cmir logs three more terms than erm
    assert len(re.findall(r'<svg[^>]*class="marks"', dom)) == charts
    assert 'data-drawn="true"' in dom
    assert "<b>evil" not in dom


def test_controls_work(chromium: str, tmp_path: Path) -> None:
    text = build_report(fabricate_grid(tmp_path / "runs", seeds=2), tmp_path / "report.html").read_text()
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text, count=1)
    end = text.rindex("</body>")
    page = tmp_path / "driven.html"
    page.write_text(text[:end] + DRIVER + text[end:])
    dom, console = visit(chromium, page, tmp_path / "profile", width=400)
    assert console == []
    found = re.search(r'<pre id="driven">(.*?)</pre>', dom, re.DOTALL)
    assert found is not None
    report = json.loads(html.unescape(found[1]))
    assert report["captions"] == ["corr (higher is better), mean ± standard deviation over seeds"]
    assert report["title"] == "corr · higher is better"
    assert report["numbers"] == 5
    assert (report["before"], report["after"]) == (6, 3)
    assert report["themed"] is True
    assert report["file"] == "Gaussian-noise-corr.svg"
    assert report["svg"].startswith("<svg")
    assert "erm" in report["svg"]

"""The page in headless Chromium: charts are drawn, controls act, nothing is fetched, the console stays silent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.browsing import choose, heading, marks, opened, settle


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "light"), (1280, "dark"), (400, "dark")])
def test_every_chart_is_drawn_and_fits_in_light_and_dark(browser: Any, rich: Path, width: int, scheme: Any) -> None:
    with opened(browser, rich, width, color_scheme=scheme) as page:
        settle(page)
        assert page.locator(".chart").count() == page.locator(".chart svg.marks").count() == 35
        assert page.locator('.chart[role="graphics-document"][aria-label]').count() == 35
        assert page.locator("b", has_text="evil").count() == 0
        assert page.locator(".empty").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        spill = """() => [...document.querySelectorAll(".chart svg.marks")].filter((svg) =>
          svg.getBoundingClientRect().right > svg.closest("figure").getBoundingClientRect().right + 1).length"""
        assert page.evaluate(spill) == 0
        shade = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        assert (max(shade) < 60) == (scheme == "dark")
        assert len(page.screenshot(full_page=True)) > 200_000


def test_metric_and_methods_change_tables_and_charts(browser: Any, rich: Path) -> None:
    with opened(browser, rich) as page:
        choose(page, "s1", "metric", "corr")
        assert heading(page, "s1-robust-1") == "corr · higher is better"
        captions = page.locator("#s1 .scroll:visible > table.results caption").all_inner_texts()
        assert captions == ["corr (higher is better), mean ± standard deviation over seeds"]
        assert marks(page, "s1-robust-1") == 2 * 5
        assert page.locator("#s1 h4:visible", has_text="cmir").count() == 3  # card, lattice, hyper-parameter
        page.click('#s1 .method[data-label="cmir"]')
        assert marks(page, "s1-robust-1") == 5
        assert page.locator("#s1 h4:visible", has_text="cmir").count() == 2
        assert marks(page, "s2-robust-1") == 3 * 5
        page.click('#s1 .method[data-label="erm"]')
        assert "no method is shown" in heading(page, "s1-robust-1")


def test_scenario_and_group_change_the_figures(browser: Any, rich: Path) -> None:
    with opened(browser, rich) as page:
        first = "accuracy · higher is better · test-flip · all rows"
        assert heading(page, "s2-shift-1") == f"{first}dashed: the line of 4 ERM runs"
        assert (marks(page, "s2-shift-1"), marks(page, "s2-shift-1", "line")) == (7, 1)
        choose(page, "s2", "scenario", "test-zero")
        choose(page, "s2", "group", "speaker=anna")
        assert "test-zero · speaker=anna" in heading(page, "s2-shift-1")
        assert heading(page, "s2-calibration-1") == "test-zero"
        choose(page, "s2", "scenario", "gaussian")
        assert "Groups are measured on whole, clean splits only" in heading(page, "s2-shift-1")
        assert "choose one of test-iid, test-flip, test-zero" in heading(page, "s2-groups-1")
        choose(page, "s2", "group", "all")
        assert "gaussian, mean over severities" in heading(page, "s2-shift-1")
        choose(page, "s2", "scenario", "test-iid")
        assert "choose another scenario" in heading(page, "s2-shift-1")


def test_differences_numbers_and_commands_follow(browser: Any, rich: Path) -> None:
    with opened(browser, rich) as page:
        settle(page, "s1-robust-1")
        page.locator(".numbers[data-chart='s1-robust-1'] summary").click()
        numbers = page.locator(".numbers[data-chart='s1-robust-1'] tbody tr")
        numbers.first.wait_for()  # they are written when the summary has opened
        assert numbers.count() == 5
        choose(page, "s1", "view", "difference")
        assert heading(page, "s1-robust-1") == "mse − that of erm · lower is better"
        assert [text.split("\t")[1] for text in numbers.all_inner_texts()] == ["0.000"] * 5
        page.locator(".recipe[data-chart='s1-robust-1'] summary").click()
        shown = page.locator(".recipe[data-chart='s1-robust-1'] pre")
        shown.filter(has_text="deconfound train").wait_for()  # it is written when the summary has opened
        recipe = shown.inner_text()
        assert recipe.startswith("# figure: Gaussian noise; mse − that of erm · lower is better\n# data: synthetic")
        assert recipe.count("deconfound train run.toml") == 4
        assert "seed 1, run cmir-1.0-1" in recipe
        page.locator(".recipe[data-chart='s1-hyperparameters-1'] summary").click()
        recipe = page.locator(".recipe[data-chart='s1-hyperparameters-1'] pre")
        recipe.filter(has_text="deconfound train").wait_for()  # it is written when the summary has opened
        assert recipe.inner_text().count("deconfound train") == 8


REACHED = """() => {
  const here = document.activeElement;
  if (!here || here === document.body) return null;
  (window.reached ??= new Set()).add(here);
  const style = getComputedStyle(here);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}"""
MISSED = """() => [...document.querySelectorAll("a[href], button, select, summary, [tabindex='0']")]
  .filter((e) => e.checkVisibility() && !window.reached.has(e)).map((e) => e.outerHTML.slice(0, 120))"""


def test_the_keyboard_reaches_every_control_and_shows_where_it_is(browser: Any, hundred: Path) -> None:
    with opened(browser, hundred) as page:
        settle(page, "s1-shift-1")
        for _ in range(400):
            page.keyboard.press("Tab")
            ringed = page.evaluate(REACHED)
            if ringed is None:
                break
            assert ringed
        assert page.evaluate(MISSED) == []
        page.locator("#s1 select[data-choice='metric']").focus()
        page.keyboard.press("ArrowDown")
        assert heading(page, "s1-robust-1") == "corr · higher is better"
        assert marks(page, "s1-robust-1") == 8 * 5
        page.locator("#s1 .method").first.focus()
        page.keyboard.press("Space")
        assert marks(page, "s1-robust-1") == 7 * 5
        page.locator(".every[data-on='true']").press("Enter")
        assert marks(page, "s1-robust-1") == 20 * 5


def test_the_theme_can_be_changed_and_charts_with_it(browser: Any, rich: Path) -> None:
    ink = "getComputedStyle(document.querySelector('#s1-f0 .role-axis-label text')).fill"
    with opened(browser, rich, color_scheme="light") as page:
        settle(page, "s1-f0")
        before = page.evaluate(ink)
        page.click("#theme")
        settle(page, "s1-f0")
        assert page.get_attribute("#theme", "aria-pressed") == "true"
        assert page.evaluate(ink) != before


def test_without_scripts_the_tables_are_there_and_no_dead_control(browser: Any, rich: Path) -> None:
    with opened(browser, rich, java_script_enabled=False) as page:
        assert page.locator("#s1 table.results:visible").count() == 1
        assert page.locator("button:visible, select:visible").count() == 0
        assert page.locator("pre.commands:visible").count() == 2


def test_a_hundred_runs_are_small_and_paint_at_once(browser: Any, hundred: Path) -> None:
    assert hundred.stat().st_size < 3_000_000
    paints = []
    for _ in range(3):  # other work on the machine only ever makes it slower
        with opened(browser, hundred) as page:
            settle(page, "s1-f0")
            paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    assert min(paints) < 1000

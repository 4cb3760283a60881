"""The one writer of pages: JSON without markup, escaped text, and a policy that runs the page's own scripts alone."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deconfound.io.files import json_text
from deconfound.io.html import json_block, page_environment, page_text, plain_values

ATTACK = "</script><svg onload=pwned=1><!--\u2028\u2029&"


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_json_is_the_same_value_without_markup(value: object) -> None:
    text = json_text(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029\x7f")
    assert text.isascii()


def test_a_block_holds_plain_finite_values() -> None:
    block = str(json_block('a"><b', {ATTACK: [math.nan, math.inf, 1.5, "\r\x1b[1m"]}))
    inner = re.fullmatch(r'<script type="application/json" id="a&#34;&gt;&lt;b">([^<>&]*)</script>', block)
    assert inner is not None
    assert json.loads(inner[1]) == {ATTACK.replace("\u2028\u2029", ""): [None, None, 1.5, ""]}
    assert plain_values((1, True, None)) == [1, True, None]


def test_only_the_own_scripts_run() -> None:
    page = page_text(ATTACK, "<p>body</p>", style="p { margin: 0; }", script="loadVega();")
    policy = re.search('Content-Security-Policy" content="([^"]*)"', page)
    scripts = re.findall("<script>(.*?)</script>", page, re.DOTALL)
    assert policy is not None
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode().replace("+", "&#43;")
    allowed = policy[1].replace("&#39;", "'").split("script-src ")[1].split()
    assert len(allowed) == 2
    assert all(source.startswith("'sha256-") for source in allowed)
    assert f"'sha256-{digest}'".replace("&#43;", "+") in allowed
    assert policy[1].startswith("default-src &#39;none&#39;;")
    assert "<title>&lt;/script&gt;&lt;svg onload=pwned=1&gt;&lt;!--&amp;</title>" in page
    assert page.index("Content-Security-Policy") < page.index("<script")


def test_a_script_that_would_end_itself_is_a_bug_of_ours() -> None:
    with pytest.raises(AssertionError):
        page_text("title", "", style="", script='"</script>"')


def test_templates_show_names_as_plain_text() -> None:
    template = page_environment("deconfound.io").from_string('<p title="{{ name }}">{{ name }}</p>{{ count }}')
    shown = template.render(name=f"a\r\0{ATTACK}\"'", count=3)
    assert "\r" not in shown
    assert shown.count("<") == 2
    assert shown.endswith("3")

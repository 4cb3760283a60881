"""Text for a terminal: what is dropped, what stays, and what the streams do with our own control characters."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deconfound.io.plain_text import json_line, one_line, plain_streams, plain_text, text_of_lines, unfiltered


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b1;31mred", "red"),
        ("\x1b]0;title\x07name", "]0;titlename"),
        ("\x1b[300 rows", "[300 rows"),  # no whole escape, so nothing of ours is swallowed
        ("a\rb\x08\x00\x7fc", "abc"),
        ("one\ttwo\nthree", "one\ttwo\nthree"),
        ("abc\u202ecba\u2066", "abccba"),
        ("a\ud800b", "a\ufffdb"),
        ("é 张伟 שלום ‏", "é 张伟 שלום ‏"),
    ],
)
def test_escapes_and_control_characters_go(text: str, shown: str) -> None:
    assert plain_text(text) == shown


@given(st.text())
def test_nothing_that_acts_is_left_and_nothing_goes_twice(text: str) -> None:
    shown = plain_text(text)
    assert not any((ord(letter) < 32 and letter not in "\n\t") or 127 <= ord(letter) < 160 for letter in shown)
    assert plain_text(shown) == shown
    shown.encode()


def test_a_name_adds_no_line() -> None:
    lines = text_of_lines(["a: 3 rows", "b\r\nwarning: forged\u2028x  1"])
    assert lines.splitlines() == ["a: 3 rows", "b warning: forged x  1"]
    assert one_line(" a\r\n\tb\x1b[1m  c ") == "a b c"


@given(st.text())
def test_json_lines_lose_nothing_and_show_nothing_that_acts(text: str) -> None:
    line = json_line({"id": text})
    assert json.loads(line) == {"id": text}
    assert plain_text(line) == line
    assert len(line.splitlines()) == 1


def test_streams_are_filtered_but_for_what_is_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with plain_streams():
        print("\x1b[31ma", "b")
        sys.stdout.writelines(["\x9bJc\n", "d\r\n"])
        unfiltered(sys.stdout).write("\x1b[K")
        assert not sys.stdout.isatty()
    assert sys.stdout is stream
    assert stream.getvalue() == "a b\nc\nd\n\x1b[K"


def test_a_closed_stream_stays_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with plain_streams():
        assert sys.stdout is None
        print("nowhere")

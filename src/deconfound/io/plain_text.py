"""Text of strangers for a terminal: nothing in it moves the cursor, colours, hides or reorders what is shown."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

_SEQUENCE = re.compile("(?:\x1b\\[|\x9b)[0-9;:?<=>]*[@-~]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff]")
_INVISIBLE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")


def plain_text(text: str) -> str:
    """Text without terminal escapes, control characters and marks that reverse its direction.

    Line feeds and tabs stay. A lone surrogate, which no encoding has, becomes U+FFFD.
    """
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", _SEQUENCE.sub("", text)))


def text_of_lines(lines: Iterable[str]) -> str:
    """Lines as one text; a line end inside of one, as in a name, becomes a space, so that no name adds a line."""
    return "\n".join(_LINE_ENDS.sub(" ", line) for line in lines)


def one_line(text: str) -> str:
    """`plain_text` with each run of white space as one space."""
    return " ".join(plain_text(" ".join(text.split())).split())


def json_line(value: Any) -> str:
    """JSON on one line; letters stay readable, and what `plain_text` would drop is escaped, so that nothing is lost.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _INVISIBLE.sub(lambda letter: f"\\u{ord(letter[0]):04x}", text)


class PlainStream:
    """A text stream that passes what is written through `plain_text`.

    Args:
        stream: where it goes; all else is asked of it.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write text and return its length."""
        self.stream.write(plain_text(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after another."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def unfiltered(stream: TextIO) -> TextIO:
    """The stream behind a `PlainStream`, for our own control characters and for data; others as they are."""
    return stream.stream if isinstance(stream, PlainStream) else stream


@contextmanager
def plain_streams() -> Iterator[None]:
    """Filter standard output and standard error inside the block."""
    former = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and cast(TextIO, PlainStream(unfiltered(stream))) for stream in former)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = former

"""Fenced examples of a Markdown page with the mark, an HTML comment, on the line before each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile(r"<!-- (?P<word>run|output|example|by hand|file|same as)(: (?P<detail>.+))? -->")


@dataclass(frozen=True)
class Fence:
    """One fenced block.

    Args:
        page: the file, relative to the repository.
        line: number of its first line.
        language: after the backticks.
        mark: "run", "output", "example", "file", "by hand", "same as", or "" where there is none.
        detail: what the mark says after its colon.
        text: the block without its fences.
    """

    page: str
    line: int
    language: str
    mark: str
    detail: str
    text: str


def fences(page: Path, root: Path) -> list[Fence]:
    """All fenced blocks of a page, in order."""
    lines = page.read_text(encoding="utf-8").splitlines()
    edges = [number for number, line in enumerate(lines) if line.startswith("```")]
    found = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        mark = _MARK.fullmatch(lines[start - 1]) if start else None
        word, detail = (mark["word"], mark["detail"] or "") if mark else ("", "")
        text = "\n".join(lines[start + 1 : stop]) + "\n"
        language = lines[start].removeprefix("```")
        found.append(Fence(str(page.relative_to(root)), start + 1, language, word, detail, text))
    return found

"""A `Diagnosis` as text for a terminal."""

from __future__ import annotations

from deconfound.diagnostics.result import Diagnosis
from deconfound.io.plain_text import text_of_lines


def as_text(diagnosis: Diagnosis) -> str:
    """The verdict, line by line; "!" marks findings that cast doubt on the split into parts."""
    who = f"{diagnosis.run} ({diagnosis.method} on {diagnosis.dataset}), {diagnosis.rows} rows of {diagnosis.split}"
    lines = [who, ""]
    for finding in diagnosis.verdict:
        answer = f" {finding.answer.upper()}" if finding.answer else ""
        lines += [f"{'! ' if finding.alarm else ''}{finding.question}{answer}", f"    {finding.text}"]
    return text_of_lines(lines)

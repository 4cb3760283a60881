"""Errors that a user can cause and fix; each message is one line: the value, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 1500
"""Characters of a message; a longer one holds a value of thousands of characters, such as a name in a damaged file."""


class DeconfoundError(ValueError):
    """Base of every error that a user can cause and fix; the middle of a message that is too long for a line is left out."""

    def __str__(self) -> str:
        text = super().__str__()
        return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 3 :]}"


class DataError(DeconfoundError):
    """A data file, table or array that does not match its format."""


class StoreError(DeconfoundError):
    """A dataset store that is missing, is damaged, has another version, or cannot be written."""


class SpecError(DeconfoundError):
    """A name, argument or specification that does not exist or is out of range."""


class RunError(DeconfoundError):
    """A run directory that is missing, damaged, or belongs to another specification."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'cmir'?"`, or the list of known names if none is close."""
    options = sorted(known)
    close = get_close_matches(name.lower(), options, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(options) or 'none'}"

"""What goes wrong for a user, always in one line: what was given, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DeconfoundError(ValueError):
    """Base of every error that a user can cause and mend."""


class DataError(DeconfoundError):
    """A data file, table or array that is not what its format promises."""


class StoreError(DeconfoundError):
    """A dataset store that is missing, damaged, of another version, or cannot be written."""


class SpecError(DeconfoundError):
    """A name, argument or specification that does not exist or is out of range."""


class RunError(DeconfoundError):
    """A run directory that is missing, damaged, or belongs to another specification."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`"; did you mean 'cmir'?"` or, where nothing is close, the list of what is known."""
    options = sorted(known)
    close = get_close_matches(given.lower(), options, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(options) or 'none'}"

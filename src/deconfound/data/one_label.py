"""What to do with rows that have several labels, for the errors of every reader."""

from __future__ import annotations

ONE_LABEL = (
    "several labels a row (multi-label) cannot be learnt together yet: make one dataset for each of them, with one number, "
    "or 0 or 1, for each row"
)

"""The log of a run of when its test rows were predicted, by which command and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from deconfound.errors import RunError


def log_opening(run: Path, scenarios: Sequence[str]) -> None:
    """Append one line to a run's `openings.jsonl`; nothing for no scenario.

    Args:
        run: the run's directory.
        scenarios: what the test rows are opened for.

    Raises:
        RunError: it cannot be written, so that the rows must stay closed.
    """
    if not scenarios:
        return
    opening = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "command": sys.argv, "scenarios": [*scenarios]}
    try:
        with open(run / "openings.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(opening) + "\n")
    except OSError as error:
        raise RunError(f"cannot log the opening of test rows in {run}: {error.strerror}") from error

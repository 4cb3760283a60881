"""The log of when the test rows of a run were predicted, by which command and for which scenarios."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from deconfound.errors import RunError


def log_test_access(run: Path, scenarios: Sequence[str], dataset: str, checksum: str) -> None:
    """Append one line to a run's `test_access.jsonl`; nothing for no scenario.

    Args:
        run: the run's directory.
        scenarios: names of the scenarios that predict test rows.
        dataset, checksum: of the corpus that the rows are from.

    Raises:
        RunError: the line cannot be written; then no test row may be predicted.
    """
    if not scenarios:
        return
    access = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "scenarios": [*scenarios],
        "dataset": dataset,
        "checksum": checksum,
    }
    try:
        with open(run / "test_access.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(access) + "\n")
    except OSError as error:
        raise RunError(
            f"cannot log the access to test rows in {run}: {error.strerror}; make the folder one you may write to"
        ) from error

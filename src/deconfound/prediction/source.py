"""Where rows to predict come from, checked before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from deconfound.errors import DataError

JSON_LINES = (".jsonl", ".ndjson")


def check_source(source: Path) -> None:
    """Refuse what is not a store, the TOML file of a table, a file of JSON lines or "-", standard input.

    Raises:
        DataError: the path does not exist, or its name ends otherwise.
    """
    if str(source) == "-" or source.is_dir():
        return
    if not source.exists():
        raise DataError(f"{source} does not exist; name a store, the .toml file of a table or a .jsonl file")
    if source.suffix.lower() not in (*JSON_LINES, ".toml"):
        raise DataError(f"{source} is not a store, the .toml file of a table or a .jsonl file; name one of these")

"""Where rows to predict come from, checked before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from deconfound.errors import DataError

JSON_LINES = (".jsonl", ".ndjson")
RAW_TABLES = (".csv", ".parquet")


def check_source(source: Path) -> None:
    """Refuse what is not a store, the TOML file of a table, a file of JSON lines, a table or "-", standard input.

    Raises:
        DataError: the path does not exist, or its name ends otherwise.
    """
    if str(source) == "-" or source.is_dir():
        return
    if not source.exists():
        raise DataError(f"{source} does not exist; name a store, a .toml, .jsonl, .csv or .parquet file")
    if source.suffix.lower() not in (*JSON_LINES, *RAW_TABLES, ".toml"):
        raise DataError(f"{source} is not a store, nor a .toml, .jsonl, .csv or .parquet file; name one of these")

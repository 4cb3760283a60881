"""TOML files that describe data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deconfound.errors import DataError
from deconfound.io.reading import read_toml


def read_data_toml(path: Path, what: str) -> dict[str, Any]:
    """The values of a TOML file; `what` names it in errors.

    Raises:
        DataError: the file cannot be read or is not TOML.
    """
    try:
        return read_toml(path, what, DataError)
    except DataError as error:
        raise DataError(f"{error}; 'deconfound data import --help' shows an example") from error

"""Reading TOML files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from deconfound.errors import DeconfoundError, SpecError
from deconfound.io.limits import check_depth
from deconfound.io.reading import FileKind, read_text, shown


def read_toml(path: Path, what: str, error: type[DeconfoundError] = SpecError) -> dict[str, Any]:
    """The values of a TOML file.

    Args:
        what: the kind of file in words, for errors.
        error: type of the errors.

    Raises:
        error: no such file, not a regular file, too large, or not TOML.
    """
    text = read_text(path, FileKind(what, error, "name a TOML file in UTF-8 that you may read"))
    try:
        values = tomllib.loads(text)
        check_depth(values)
    except (ValueError, RecursionError) as reason:
        raise error(f"{shown(path)} is not TOML: {str(reason)[:160]}; correct the file") from reason
    return values

"""Reading JSON files whose structure a pydantic model states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from deconfound.io.reading import FileKind, read_json, reading


def read_model(path: str | Path, kind: FileKind, model: type[BaseModel], *, infinite: bool = False) -> dict[str, Any]:
    """The JSON object in a file, as it is written, after a check of its structure.

    Args:
        model: fields that the file must have, and their types.
        infinite: accept NaN and Infinity.

    Raises:
        DeconfoundError: of the type of `kind`: as `read_json`, or a field is missing or has another type.
    """
    values = read_json(path, kind, infinite=infinite)
    with reading(path, kind):
        try:
            model(**values)
        except ValidationError as error:
            detail = error.errors(include_input=False)[0]
            place = ".".join(map(str, detail["loc"]))
            raise ValueError(f"{place[:80]}: {detail['msg'][0].lower()}{detail['msg'][1:]}") from error
    return values

"""The boundary of everything that is read: whatever is wrong with a file becomes one line about the file.

Every reader of files goes through `reading`. Only regular files are read, so that no pipe or device keeps a reader waiting.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from deconfound.errors import DeconfoundError, SpecError
from deconfound.io.limits import DOCUMENT, check_depth, check_size, is_encodable

_SHOWN = 300


@dataclass(frozen=True)
class FileKind:
    """What a reader expects.

    Args:
        what: the kind of file in words, such as "log of a run".
        error: type of the errors.
        remedy: what to do about a damaged file.
        share: limit of its size, one of `io.limits`.
    """

    what: str
    error: type[DeconfoundError]
    remedy: str
    share: float = DOCUMENT


@contextmanager
def reading(path: str | Path, kind: FileKind) -> Iterator[None]:
    """Turn every error in the block into one line that names the file; errors of the type of `kind` pass.

    Raises:
        DeconfoundError: of the type of `kind`, for any exception.
    """
    try:
        yield
    except OSError as error:
        remedy = f"check its name, or {kind.remedy}" if isinstance(error, FileNotFoundError) else kind.remedy
        raise kind.error(f"cannot read the {kind.what} {shown(path)}: {_reason(error)}; {remedy}") from error
    except Exception as error:  # libraries raise errors of any type on a damaged file
        if isinstance(error, kind.error):
            raise
        raise kind.error(f"the {kind.what} {shown(path)} is damaged ({_reason(error)}); {kind.remedy}") from error


def shown(path: str | Path) -> str:
    """A path for an error message, in one line and cut where it is long."""
    text = str(path)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _reason(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(text.split())[:160] or type(error).__name__


def check_regular(path: str | Path, kind: FileKind) -> int:
    """Bytes of a file, after a check that it is a regular file of a size within the limit.

    Raises:
        DeconfoundError: of the type of `kind`: no such file, no permission, a folder, a pipe, a device, or too large.
    """
    with reading(path, kind):
        state = Path(path).stat()
        if not stat.S_ISREG(state.st_mode):
            found = "a folder" if stat.S_ISDIR(state.st_mode) else "a pipe or a device"
            raise kind.error(f"{shown(path)} is {found}, not a file; name the {kind.what}, a regular file")
        check_size(shown(path), state.st_size, kind.share, kind.error)
        return state.st_size


def read_bytes(path: str | Path, kind: FileKind) -> bytes:
    """All bytes of a regular file.

    Raises:
        DeconfoundError: of the type of `kind`: as `check_regular`.
    """
    size = check_regular(path, kind)
    with reading(path, kind), open(path, "rb") as file:
        content = file.read(size + 1)  # one more, as a file of the system may have more than it says
        while len(content) > size and (more := file.read(1 << 20)):
            content += more
            check_size(shown(path), len(content), kind.share, kind.error)
        return content


def read_text(path: str | Path, kind: FileKind) -> str:
    """The text of a regular file of UTF-8.

    Raises:
        DeconfoundError: of the type of `kind`: as `check_regular`, or the file is not UTF-8.
    """
    content = read_bytes(path, kind)
    with reading(path, kind):
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"it is not UTF-8 text, byte {error.start}") from error


def read_json(path: str | Path, kind: FileKind, *, infinite: bool = False) -> dict[str, Any]:
    """The JSON object in a regular file.

    Args:
        infinite: accept NaN and Infinity, which this program writes and JSON lacks.

    Raises:
        DeconfoundError: of the type of `kind`: as `read_text`, or the file is not one JSON object.
    """
    text = read_text(path, kind)
    with reading(path, kind):
        return object_of(parse_json(text, infinite=infinite))


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


def object_of(value: object) -> dict[str, Any]:
    """The value, if it is a JSON object.

    Raises:
        ValueError: it is anything else.
    """
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__}, not an object")  # noqa: TRY004 (the file's fault)
    return value


def parse_json(text: str | bytes, *, infinite: bool = False) -> Any:
    """The value of a JSON text whose strings can be written as UTF-8.

    Args:
        infinite: accept NaN and Infinity.

    Raises:
        ValueError, RecursionError: not such JSON, nested too deeply, or a number of thousands of digits.
    """
    text = text if isinstance(text, str) else text.decode()  # json would let half a character pass
    value = json.loads(text) if infinite else json.loads(text, parse_constant=refuse_constant)
    check_depth(value)
    if "\\ud" in text.lower() and not is_encodable(json.dumps(value, ensure_ascii=False)):
        raise ValueError("a text holds half a character")
    return value


def refuse_constant(name: str) -> Any:
    """Refuse NaN and Infinity, which `json` reads by default; for its `parse_constant`."""
    raise ValueError(f"{name} is not JSON")


def resolved(path: Path, kind: FileKind) -> Path:
    """The absolute path without links; links that point at each other stay.

    Raises:
        DeconfoundError: of the type of `kind`: a path that no file can have.
    """
    with reading(path, kind):
        return Path(os.path.realpath(path))

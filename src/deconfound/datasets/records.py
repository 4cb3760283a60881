"""Files of records: JSON lines, a JSON list, or a JSON object, as corpora of posts and utterances come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deconfound.datasets.manifest import read_manifest
from deconfound.errors import DataError

_MOST_BYTES = 1 << 30


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        DataError: the file is missing, too large, or no JSON.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} has more than {_MOST_BYTES} bytes; keep only the fields that are read")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; name a file that you may read") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON, or not UTF-8; save it again") from error


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a `.jsonl` file, or of a `.json` file that holds a list of objects.

    Raises:
        DataError: another content.
    """
    if path.suffix.lower() == ".jsonl":
        columns = read_manifest(path)
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    records = read_json(path)
    if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{path} holds no list of objects; expected one object per row")
    return records


def field(record: dict[str, Any], names: tuple[str, ...], where: str) -> str:
    """The first of the named fields that a record has, as text.

    Raises:
        DataError: it has none of them, or something other than a text or a number there.
    """
    value = next((record[name] for name in names if record.get(name) is not None), None)
    if not isinstance(value, str | int | float):
        raise DataError(f"{where} has no {' or '.join(map(repr, names))} of text; it has {sorted(record)[:8]}")
    return str(value)


def split_files(path: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """Split → the file in a folder whose name holds it, such as `train.jsonl` or `posts_dev.json`.

    Raises:
        DataError: no folder, or none whose training file is there.
    """
    if not path.exists():
        raise DataError(f"cannot read {path}: No such file or directory; check its name")
    if not path.is_dir():
        raise DataError(f"{path} is a file; name the folder that holds it and the files of the other splits")
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        words = file.stem.lower().replace("-", "_").split("_")
        split = next((split for split, names in _NAMES.items() if any(word in names for word in words)), None)
        if split is not None and file.suffix.lower() in endings and file.is_file():
            if split in files:
                raise DataError(f"{path} holds {files[split].name} and {file.name}; keep one of them for {split!r}")
            files[split] = file
    if "train" not in files:
        raise DataError(f"{path} has no file of the split train; expected train{endings[0]}, dev{endings[0]} and so on")
    return files


_NAMES = {"train": ("train",), "valid": ("dev", "valid", "val", "validation", "valid2"), "test": ("test", "test2")}
"""Split → words of a file's name."""

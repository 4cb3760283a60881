"""The dataset store: a folder with `data.safetensors` (memory-mapped) and `dataset.json`. Opening executes nothing.

The module loads no PyTorch, so that a path that is no store is refused at once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deconfound.errors import RunError, StoreError
from deconfound.io.files import scratch_folder, write_json
from deconfound.io.reading import FileKind, read_json, reading

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset

VERSION = 1
_FILE = FileKind("dataset store", StoreError, "import the data again")
_DATA, _SCHEMA, _VERIFIED = "data.safetensors", "dataset.json", ".verified.json"


def refuse_existing(path: Path) -> None:
    """Refuse to overwrite, before anything is computed.

    Raises:
        StoreError: `path` exists.
    """
    with reading(path, _FILE):
        exists = path.exists()
    if exists:
        raise StoreError(f"{path} exists already; remove it or choose another folder")


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A scratch folder beside `path`, renamed to `path` when the block succeeds and removed when it fails.

    What an earlier call for the same path left when it was killed is removed.

    Raises:
        StoreError: `path` exists, or the files cannot be written.
    """
    refuse_existing(path)
    try:
        with scratch_folder(path) as scratch:
            yield scratch
            scratch.chmod(0o755)
            os.replace(scratch, path)
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"cannot write {path}: {reason}; choose a place with room that you may write to") from error


def save(dataset: Dataset, path: str | Path) -> Path:
    """Write a store atomically: either all of it exists or nothing does.

    Raises:
        StoreError: the folder exists or cannot be written.
    """
    from deconfound.data.schema import dataset_schema, named_tensors
    from deconfound.data.tensor_file import write_tensors

    path = Path(path)
    with new_directory(path) as scratch:
        write_tensors(named_tensors(dataset), scratch / _DATA)
        (scratch / _DATA).chmod(0o644)  # whoever may read the folder, whatever the umask
        schema = {
            "format": "deconfound dataset",
            "version": VERSION,
            **dataset_schema(dataset),
            "provenance": dict(dataset.provenance),
            "bytes": (scratch / _DATA).stat().st_size,
            "checksum": dataset.checksum,
        }
        with open(scratch / _SCHEMA, "w", encoding="utf-8") as file:
            json.dump(schema, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
    return path


def check_is_store(path: str | Path) -> None:
    """Refuse a path that is no store, before anything is loaded.

    Raises:
        StoreError: no such folder, not a store, or one of another version.
    """
    _read_schema(Path(path))


def open_store(path: str | Path) -> Dataset:
    """Open a store without reading its signals; pages are loaded when rows are used. `verified` reads all of them.

    Raises:
        StoreError: not a store, another version, a data file of another size than was written, or a name, type, shape, class
            number, code, id or split that cannot be.
    """
    path = Path(path)
    schema = _read_schema(path)
    with reading(path, _FILE):
        return _assemble(path, schema)


def check_store(path: str | Path) -> Dataset:
    """Open a store and read all of it: checksum, masks, finite values, unique ids.

    The provenance is not part of the checksum: equal rows are the same data, whatever their source.

    Raises:
        StoreError: a byte differs from what was written.
        DataError: a row that `check_rows` refuses.
    """
    dataset = open_store(path)
    from deconfound.data.validation import check_rows

    written = dataset.checksum
    dataset.__dict__.pop("checksum")
    if dataset.checksum != written:
        raise StoreError(f"{path}: the checksum of the data differs from the one written; import the data again")
    check_rows(dataset)
    return dataset


def verified(dataset: Dataset) -> Dataset:
    """The dataset, after its store passed `check_store`: once, until one of its two files changes.

    The store remembers that it passed, in `.verified.json`; where nothing can be written, the process remembers it. A dataset
    without a store is returned as it is. Reading takes about two seconds of one core per GB, or as long as the disk.

    Raises:
        StoreError, DataError: as `check_store`.
    """
    if dataset.source is not None:
        _verify(dataset.source.resolve(), _file_state(dataset.source))
    return dataset


def open_verified(path: str | Path) -> Dataset:
    """`open_store`, then `verified`.

    Raises:
        StoreError, DataError: as these.
    """
    return verified(open_store(path))


@cache
def _verify(path: Path, state: str) -> None:
    note = path / _VERIFIED
    try:
        if json.loads(note.read_text(encoding="utf-8")) == {"files": state}:
            return
    except (OSError, ValueError, RecursionError):
        pass  # no note, or one that somebody else wrote
    check_store(path)
    with suppress(RunError):
        write_json(note, {"files": state})


def _file_state(path: Path) -> str:
    """What changes with the contents of a store's files: inode, size, and times of change, one of which no user can set.

    Raises:
        StoreError: a file is gone.
    """
    try:
        parts = [(path / name).stat() for name in (_DATA, _SCHEMA)]
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}; import the data again") from error
    return " ".join(f"{part.st_ino} {part.st_size} {part.st_mtime_ns} {part.st_ctime_ns}" for part in parts)


def _read_schema(path: Path) -> dict[str, Any]:
    with reading(path, _FILE):
        is_store, exists = (path / _SCHEMA).is_file() and (path / _DATA).is_file(), path.exists()
    if not is_store:
        state = "does not exist" if not exists else f"is not a dataset store (no {_SCHEMA} and {_DATA} in it)"
        raise StoreError(f"{path} {state}; make one with 'deconfound data import'")
    schema = read_json(path / _SCHEMA, _FILE)
    with reading(path / _SCHEMA, _FILE):
        kind, version = schema["format"], schema["version"]
    if kind != "deconfound dataset" or version != VERSION:
        raise StoreError(f"{path} is {kind!r} version {version}; this program reads version {VERSION}: import it again")
    return schema


def _assemble(path: Path, schema: dict[str, Any]) -> Dataset:
    from safetensors import safe_open

    from deconfound.data.columns import Columns, MetadataColumn
    from deconfound.data.dataset import Dataset
    from deconfound.data.layout import check_schema, check_tensors
    from deconfound.data.signal import Signal
    from deconfound.data.task import Task

    check_schema(schema)
    size = (path / _DATA).stat().st_size
    if size != schema["bytes"]:
        raise StoreError(f"{path / _DATA} has {size} bytes, {schema['bytes']} were written; import the data again")
    with safe_open(path / _DATA, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    task = Task(
        schema["task"]["kind"], tuple(schema["task"]["classes"]), schema["task"]["loss"], schema["task"]["protocol"]
    )
    check_tensors(schema, task, tensors)
    parts: dict[str, dict[str, Any]] = {name: {} for name in schema["columns"]}
    for name in tensors:
        if name.startswith("column/"):
            column, _, part = name.removeprefix("column/").rpartition("/")
            parts[column][part] = tensors[name]
    dataset = Dataset(
        schema["name"],
        task,
        {m: Signal(tensors[f"signal/{m}/values"], tensors[f"signal/{m}/mask"]) for m in schema["modalities"]},
        tensors["target"],
        Columns({name: MetadataColumn(part) for name, part in parts.items()}),
        {name: range(start, stop) for name, (start, stop) in schema["splits"].items()},
        tuple(schema["environment"]),
        tuple(schema["group"]),
        schema["provenance"],
        {name: tensors[f"latent/{name}"] for name in schema["latents"]},
        path,
    )
    dataset.__dict__["checksum"] = schema["checksum"]  # primes the cached property; `check_store` computes it anew
    return dataset

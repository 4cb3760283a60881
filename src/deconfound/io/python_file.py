"""Classes in Python files of the user, named as "file.py:Class". Loading one runs the file."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from deconfound.errors import SpecError, did_you_mean

_ENDING = ".py:"
Base = TypeVar("Base")


def names_file(reference: object) -> bool:
    """Whether a reference is "file.py:Class", and no dotted name of a class that lives in memory."""
    return isinstance(reference, str) and _ENDING in reference


def placed(reference: str, folder: Path) -> str:
    """The reference with an absolute path; a relative one starts at `folder`."""
    file, name = _parts(reference)
    return f"{(folder / file).resolve()}:{name}"


def with_placed_code(values: Any, folder: Path) -> Any:
    """Tables and lists of a TOML in which every key "python" of a file holds an absolute path, as `placed`."""
    if isinstance(values, list):
        return [with_placed_code(value, folder) for value in values]
    if not isinstance(values, dict):
        return values
    tables = {key: with_placed_code(value, folder) for key, value in values.items()}
    return {**tables, "python": placed(values["python"], folder)} if names_file(values.get("python")) else tables


def file_of(reference: str) -> Path:
    """The file that a reference names."""
    return Path(_parts(reference)[0])


def checksum(reference: str) -> str:
    """The SHA-256 of the file that a reference names.

    Raises:
        SpecError: it cannot be read.
    """
    return hashlib.sha256(_read(file_of(reference))).hexdigest()


def load_class(reference: str, base: type[Base]) -> type[Base]:
    """The class that "file.py:Class" names. A file that has not changed runs once in a process.

    Args:
        base: what the class must derive from.

    Raises:
        SpecError: the file cannot be read or fails, or has no such class.
    """
    file, name = _parts(reference)
    path = Path(file).resolve()
    module = _module(path, hashlib.sha256(_read(path)).hexdigest())
    classes = {
        key: value
        for key, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, base) and value.__module__ == module.__name__
    }
    if name not in classes:
        raise SpecError(f"{path} defines no {base.__name__} {name!r}{did_you_mean(name, classes)}")
    if inspect.isabstract(classes[name]):
        lacking = ", ".join(sorted(getattr(classes[name], "__abstractmethods__", ())))
        raise SpecError(f"{path}: {name} lacks {lacking}; a {base.__name__} defines them")
    return classes[name]


@cache
def _module(path: Path, digest: str) -> ModuleType:
    name = f"deconfound_own_{path.stem}_{digest[:12]}"
    spec: Any = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # annotations and dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        reason = str(error).partition("\n")[0]
        raise SpecError(f"{path} failed ({type(error).__name__}: {reason}); run it with Python to see where") from error
    return module


def _parts(reference: str) -> tuple[str, str]:
    file, _, name = reference.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise SpecError(f"python = {reference!r}: expected a file and a class in it; write 'file.py:Class'")
    return file, name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(
            f"cannot read the code {path}: {error.strerror or error}; name a file that you may read"
        ) from error

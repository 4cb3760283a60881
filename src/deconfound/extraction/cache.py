"""What extractors computed, by the content of the samples, so that nothing is computed twice and a kill loses little."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.errors import DataError

_TABLE = "CREATE TABLE IF NOT EXISTS arrays (key BLOB PRIMARY KEY, dtype TEXT, shape TEXT, data BLOB) WITHOUT ROWID"
_DTYPES = ("float32", "int64")


def default_folder() -> Path:
    """$DECONFOUND_CACHE, or the folder "deconfound" among the user's caches."""
    chosen = os.environ.get("DECONFOUND_CACHE")
    caches = os.environ.get("XDG_CACHE_HOME")
    return Path(chosen) if chosen else (Path(caches) if caches else Path.home() / ".cache") / "deconfound"


class ArrayCache:
    """Key → array, in one SQLite file per extractor, or in memory.

    Args:
        folder: holds the files; None keeps everything in memory.
        identity: JSON values that determine what is computed: extractor, arguments and model.

    Raises:
        DataError: the folder cannot be written, or holds a damaged file.
    """

    def __init__(self, folder: Path | None, identity: Mapping[str, Any]) -> None:
        text = json.dumps(identity, sort_keys=True)
        self.path = None
        if folder is not None:
            self.path = folder / f"{identity['name']}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.sqlite"
        try:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(self.path or ":memory:", timeout=60)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute(_TABLE)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> ArrayCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def has(self, key: bytes) -> bool:
        """Whether an array is stored under the key."""
        return self._row("SELECT 1 FROM arrays WHERE key = ?", key) is not None

    def shape(self, key: bytes) -> tuple[int, ...]:
        """The shape of a stored array."""
        row = self._row("SELECT shape FROM arrays WHERE key = ?", key)
        assert row is not None, "an array was stored under every key"
        return tuple(json.loads(row[0]))

    def get(self, key: bytes) -> np.ndarray:
        """A stored array."""
        row = self._row("SELECT dtype, shape, data FROM arrays WHERE key = ?", key)
        assert row is not None, "an array was stored under every key"
        try:
            assert row[0] in _DTYPES
            return np.frombuffer(row[2], dtype=row[0]).reshape(json.loads(row[1]))
        except (ValueError, TypeError, AssertionError) as error:
            raise self._unusable(error) from error

    def put(self, arrays: Mapping[bytes, np.ndarray]) -> None:
        """Store arrays; after this a kill does not lose them."""
        rows = [
            (key, str(array.dtype), json.dumps(array.shape), np.ascontiguousarray(array).tobytes())
            for key, array in arrays.items()
        ]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO arrays VALUES (?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _row(self, query: str, key: bytes) -> tuple[Any, ...] | None:
        try:
            with closing(self._connection.execute(query, (key,))) as cursor:
                return cursor.fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> DataError:
        return DataError(
            f"the cache {self.path} cannot be used ({error}); delete it, or name another folder in DECONFOUND_CACHE"
        )


def cached_files(folder: Path) -> list[tuple[Path, int]]:
    """Files of a cache and their bytes."""
    return [(path, path.stat().st_size) for path in sorted(folder.glob("*.sqlite*")) if path.is_file()]

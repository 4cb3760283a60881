"""Tables of Arrow and Parquet files: their splits, and list columns as rows of steps."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.datasets.arrays import resolve_inside
from deconfound.datasets.corpus_rows import split_name
from deconfound.datasets.records import read_json
from deconfound.errors import DataError

_SPLIT_NAMES = ("train", "validation", "valid", "val", "dev", "test")


def split_tables(path: Path) -> dict[str, Any]:
    """Split → table, "" → the table of a file that names the splits in a column.

    Args:
        path: a folder that `DatasetDict.save_to_disk` wrote, a folder of Parquet files whose names begin with their split,
            or one Parquet file.

    Raises:
        DataError: pyarrow is not installed, or the files are damaged or of another layout.
    """
    if not path.exists():
        raise DataError(f"cannot read {path}: No such file or directory; check its name")
    try:
        import pyarrow as pa
    except ImportError as error:
        raise DataError(f"{path}: reading Arrow and Parquet needs pyarrow; pip install 'deconfound[data]'") from error
    try:
        if path.is_file():
            return {"": _parquet([path])}
        if (path / "dataset_dict.json").is_file():
            names = read_json(path / "dataset_dict.json")["splits"]
            return {split_name(name): _arrow(path / name) for name in names}
        return {split: _parquet(files) for split, files in _parquet_files(path).items()}
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise DataError(
            f"cannot read {path}: {str(error)[:120]!r}; expected Arrow or Parquet files by split"
        ) from error


def class_names(path: Path, column: str) -> tuple[str, ...]:
    """Names of the classes of a column as the `datasets` library keeps them; empty where it keeps none."""
    for file in sorted(path.glob("*/dataset_info.json")) if path.is_dir() else ():
        try:
            names = json.loads(file.read_text(encoding="utf-8"))["features"][column]["names"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(names, list):
            return tuple(map(str, names))
    return ()


def step_rows(column: Any, what: str) -> list[np.ndarray] | None:
    """(T_i, D) steps of each row of a column of lists, None for a column of anything else.

    A list of lists is T steps of D features. A list of numbers is one step if all rows have as many, else T steps of one
    feature. A missing value is no step.

    Raises:
        DataError: lists of lists whose inner lengths differ.
    """
    import pyarrow as pa

    compute: Any = import_module("pyarrow.compute")  # its functions are made at run time, unknown to type checkers
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    inner = column.type.value_type if any(is_kind(column.type) for is_kind in kinds) else None
    nested = inner is not None and any(is_kind(inner) for is_kind in kinds)
    number = inner.value_type if inner is not None and nested else inner
    if number is None or not (pa.types.is_floating(number) or pa.types.is_integer(number)):
        return None
    lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy().astype(np.int64)
    values = compute.list_flatten(column)
    if nested:
        widths = np.unique(compute.fill_null(compute.list_value_length(values), -1).to_numpy())
        if len(widths) != 1 or widths[0] < 1:
            raise DataError(f"{what}: the steps have {widths.tolist()[:5]} features; every step needs the same number")
        steps = compute.list_flatten(values).to_numpy().reshape(-1, int(widths[0]))
    else:
        steps = values.to_numpy()[:, None]
    rows = np.split(steps, np.cumsum(lengths)[:-1])
    one_step = not nested and len(set(lengths[lengths > 0].tolist())) == 1
    return [row.reshape(min(1, len(row)), -1) for row in rows] if one_step else rows


def _parquet_files(path: Path) -> dict[str, list[Path]]:
    folder = path / "data" if (path / "data").is_dir() else path
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.parquet")):
        first = file.stem.split("-")[0]
        if first.lower() in _SPLIT_NAMES or first.lower().startswith("test"):
            files.setdefault(split_name(first), []).append(file)
    if "train" not in files:
        raise DataError(f"{path} has no dataset_dict.json and no train-*.parquet; expected one of them")
    return files


def _parquet(files: list[Path]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pa.concat_tables([pq.ParquetFile(file).read() for file in files])


def _arrow(folder: Path) -> Any:
    """The table of a split, from the Arrow files that its state.json names."""
    import pyarrow as pa

    names = [part["filename"] for part in read_json(folder / "state.json")["_data_files"]]
    tables = []
    for name in names:
        with pa.memory_map(str(resolve_inside(folder, name))) as source:
            tables.append(pa.ipc.open_stream(source).read_all())
    return pa.concat_tables(tables)

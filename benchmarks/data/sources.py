"""What the dataset builders share: arrays out of an .npz, their provenance, the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.data.store import save
from deconfound.datasets.steps import sha256
from deconfound.errors import DataError


def read_arrays(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays of an .npz with one length; nothing in the file is run.

    Raises:
        DataError: the file does not open, lacks an array, or its arrays have different lengths.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file.files]
            if missing:
                raise DataError(f"{path} has no array {missing[0]!r} (it has {', '.join(file.files)})")
            arrays = {name: file[name] for name in names}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; name the folder that holds it") from error
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{path} is damaged or holds pickled objects ({error}); take another copy") from error
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) != 1:
        raise DataError(f"{path}: the arrays have different numbers of rows: {sizes}")
    return arrays


def file_note(path: Path) -> dict[str, Any]:
    """Name, size and SHA-256 of a source file, for the provenance."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def whole_signal(values: np.ndarray) -> Signal:
    """(N, T, *F) values of which every step exists, as float32."""
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return Signal(tensor, torch.ones(tensor.shape[:2], dtype=torch.bool))


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A command line with the source and the place to write to."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="what the corpus was delivered as")
    parser.add_argument("--out", type=Path, required=True, help="where to write it")
    return parser


def write(dataset: Dataset, out: Path) -> None:
    """Save a store and say what is in it."""
    save(dataset, out)
    print(f"wrote {out}: " + ", ".join(f"{name} {len(rows)}" for name, rows in dataset.splits.items()) + " rows")

"""The laws of every `Extractor`."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from deconfound.errors import DataError
from deconfound.extraction.decode import Sound
from deconfound.extraction.extractor import Extractor
from deconfound.extraction.kinds import KINDS
from deconfound.extraction.prepare import prepare_with
from deconfound.extraction.raw import RawColumn, SampleError
from deconfound.testing.raw_examples import edge_samples, ordinary_samples

_LONGEST = 120.0
"""Seconds of the longest recording that is made."""


def check_extractor(extractor: Extractor, *, samples: Sequence[Any] | None = None, seed: int = 0) -> None:
    """Hold an extractor to its laws.

    - A sample becomes a finite array (T, *F) of float32, or (T,) of int64 from 0, the same each time. All have the same F.
    - It does not depend on the other samples of a batch, and the samples stay as they are.
    - The shortest and emptiest samples give such arrays, or `SampleError`.
    - `model()` names texts, the same each time.
    - `most_seconds` is true: what lies more than a second beyond it changes nothing.
    - In a column, rows without a sample are absent, steps that do not exist are 0, and a path out of the folder is refused
      before the extractor sees it.

    Args:
        samples: three or more to use in place of those made here; videos made here need the package av.
        seed: of the samples.

    Raises:
        AssertionError: a broken law, named.
    """
    assert extractor.kind in KINDS, f"kind is one of {KINDS}; got {extractor.kind!r}"
    assert extractor.batch >= 1, f"batch is 1 or more; got {extractor.batch}"
    model = extractor.model()
    texts = all(isinstance(part, str) for item in model.items() for part in item)
    assert texts, f"model() names texts; got {model}"
    assert model == extractor.model(), "model() is the same each time"
    with TemporaryDirectory() as name:
        folder = Path(name)
        given = list(samples or ordinary_samples(extractor.kind, folder, seed))
        arrays = _check_batch(extractor, given)
        _check_edges(extractor, edge_samples(extractor.kind, folder, seed), arrays[0])
        _check_seconds(extractor, seed)
        _check_column(extractor, given, arrays)
        _check_paths(extractor, folder)


def _check_batch(extractor: Extractor, samples: list[Any]) -> list[np.ndarray]:
    before = copy.deepcopy(samples)
    arrays = extractor.extract(samples)
    assert all(map(_same_sample, before, samples)), "the samples stay as they are"
    assert len(arrays) == len(samples), f"one array per sample; got {len(arrays)} for {len(samples)}"
    for array in arrays:
        _check_array(array, arrays[0])
    again = extractor.extract(samples)
    assert all(map(np.array_equal, arrays, again)), "the same samples give the same arrays"
    for sample, array in zip(samples, arrays, strict=True):
        alone = extractor.extract([sample])[0]
        near = alone.shape == array.shape and np.allclose(alone, array, rtol=1e-4, atol=1e-4 * _size(array))
        assert near, "an array does not depend on the other samples of the batch"
    return arrays


def _check_array(array: np.ndarray, example: np.ndarray) -> None:
    tokens = array.dtype == np.int64 and array.ndim == 1 and not (array < 0).any()
    assert tokens or (array.dtype == np.float32 and array.ndim >= 2), (
        f"an array is float32 (T, *F), or int64 (T,) from 0; got {array.dtype} {array.shape}"
    )
    assert np.isfinite(array).all(), "all values are finite"
    same = array.shape[1:] == example.shape[1:] and array.dtype == example.dtype
    assert same, f"all arrays have one type and one shape of a step; got {array.shape[1:]} and {example.shape[1:]}"


def _check_edges(extractor: Extractor, samples: list[Any], example: np.ndarray) -> None:
    for sample in samples:
        try:
            array = extractor.extract([sample])[0]
        except SampleError:
            continue
        except DataError:
            raise
        except Exception as error:
            raise AssertionError(f"a short sample gives an array or SampleError; got {error!r:.200}") from error
        _check_array(array, example)


def _check_seconds(extractor: Extractor, seed: int) -> None:
    if extractor.kind != "audio" or not extractor.most_seconds <= _LONGEST:
        return
    draw, rate = np.random.default_rng(seed), 16000
    size = math.ceil((extractor.most_seconds + 3) * rate)
    long = np.sin(np.arange(size) / 16).astype(np.float32) * draw.uniform(0, 1, size).astype(np.float32)
    cut = long[: round((extractor.most_seconds + 1) * rate)]
    whole, part = (extractor.extract([Sound(samples, rate)])[0] for samples in (long, cut))
    near = whole.shape == part.shape and np.allclose(whole, part, rtol=1e-4, atol=1e-4 * _size(whole))
    assert near, f"nothing beyond most_seconds = {extractor.most_seconds:g} is read"


def _check_column(extractor: Extractor, samples: list[Any], arrays: list[np.ndarray]) -> None:
    if extractor.kind == "audio":
        samples = [(sound.samples, sound.rate) for sound in samples]
    rows = [samples[0], None, *samples[1:]]
    expected = [arrays[0], None, *arrays[1:]]
    column = RawColumn(extractor.kind, rows)
    ids = [str(row) for row in range(len(rows))]
    signal, note = prepare_with(extractor, {"name": "law"}, column, "a column", ids=ids)
    steps = [0 if array is None else len(array) for array in expected]
    assert signal.mask.sum(dim=1).tolist() == steps, (
        "the mask has the steps of each row, and none where it has no sample"
    )
    assert bool((signal.values[~signal.mask] == 0).all()), "steps that do not exist are 0"
    assert note["steps"] == max(1, *steps), "the column has the steps of its longest row"
    for row, array in enumerate(expected):
        if array is not None:
            held = signal.values[row, : len(array)].numpy()
            near = np.allclose(held, array, rtol=1e-4, atol=1e-4 * _size(array))
            assert near, "a row of a column is the array of its sample"


def _check_paths(extractor: Extractor, folder: Path) -> None:
    if extractor.kind == "text":
        return
    for name in ("../outside", str(folder / "absolute")):
        column = RawColumn(extractor.kind, [name], folder / "inside")
        refused = ""
        try:
            prepare_with(extractor, {"name": "law"}, column, "a column", ids=["a"])
        except DataError as error:
            refused = str(error)
        assert "points outside" in refused, f"a path out of the folder is refused; got {refused!r}"


def _same_sample(one: Any, other: Any) -> bool:
    if isinstance(one, Sound):
        return np.array_equal(one.samples, other.samples)
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


def _size(array: np.ndarray) -> float:
    return max(1.0, float(np.abs(array).max())) if array.size else 1.0

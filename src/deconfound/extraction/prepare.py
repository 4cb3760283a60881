"""Preparing a raw column: decode, extract, pad; with a cache, a progress bar and a list of what could not be read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.data.mapped import CHUNK, tensor_of_blocks
from deconfound.data.signal import Signal
from deconfound.errors import DataError
from deconfound.extraction.cache import ArrayCache
from deconfound.extraction.content_keys import ContentKeys, content_keys
from deconfound.extraction.decode import decode
from deconfound.extraction.extractor import Extractor, extractor_of
from deconfound.extraction.raw import RawColumn, SampleError

MOST_BROKEN = 0.05
"""Largest share of samples that may be unreadable, unless the table says another."""
_LISTED = 20


def prepare(
    column: RawColumn,
    what: str,
    *,
    ids: Sequence[str],
    cache: Path | None = None,
    progress: bool = False,
    most_broken: float = MOST_BROKEN,
    workers: int = 2,
    order: np.ndarray | None = None,
) -> tuple[Signal, dict[str, Any]]:
    """Extract all samples of a column. Equal samples are computed once, and never again while the cache holds them.

    Args:
        what: names the column in errors.
        ids: N row names for the list of unreadable samples.
        cache: folder of the cache; None keeps nothing.
        progress: draw a bar with rows per second and the time left.
        most_broken: largest share of the present samples that may be unreadable; their rows lack the modality.
        workers: threads that decode.
        order: (R,) the rows to return, in their order; all by default. The steps are those of all rows.

    Returns:
        R rows, and notes as JSON values: kind, extractor, model, steps, and "broken": id → reason.

    Raises:
        DataError: too many unreadable samples, a path outside its folder, no sample at all, or a package is missing.
        SpecError: an extractor that does not exist or reads another kind.
    """
    extractor, choice = extractor_of(column.kind, column.extractor, what)
    return prepare_with(
        extractor,
        choice,
        column,
        what,
        ids=ids,
        cache=cache,
        progress=progress,
        most_broken=most_broken,
        workers=workers,
        order=order,
    )


def prepare_with(
    extractor: Extractor,
    choice: Mapping[str, Any],
    column: RawColumn,
    what: str,
    *,
    ids: Sequence[str],
    cache: Path | None = None,
    progress: bool = False,
    most_broken: float = MOST_BROKEN,
    workers: int = 2,
    order: np.ndarray | None = None,
) -> tuple[Signal, dict[str, Any]]:
    """`prepare` by an extractor that is here.

    Args:
        choice: its name and arguments, as JSON values.
    """
    model = extractor.model()
    broken: dict[int, str] = {}
    keys = content_keys(column, broken)
    with ArrayCache(cache, {**choice, "model": model}) as arrays:
        _extract(column, extractor, keys, arrays, broken, what if progress else None, workers)
        _check_share(broken, sum(sample is not None for sample in column.samples), most_broken, ids, what)
        signal = _assemble(keys.without(list(broken)), arrays, what, order, cache)
    listed = {str(ids[row]): reason for row, reason in islice(sorted(broken.items()), _LISTED)}
    note = {"kind": column.kind, "extractor": choice, "model": model, "steps": signal.values.shape[1]}
    return signal, {**note, "broken_rows": len(broken), "broken": listed}


def prepare_again(column: RawColumn, note: Mapping[str, Any], what: str, ids: Sequence[str]) -> Signal:
    """New rows, read as the note says that the data of training were; steps beyond theirs are cut off.

    Raises:
        DataError: an unreadable sample, or a model whose weights are not those of training.
    """
    column = RawColumn(column.kind, column.samples, column.folder, dict(note["extractor"]))
    extractor, _ = extractor_of(column.kind, column.extractor, what)
    model = extractor.model()
    if model != note["model"]:
        raise DataError(
            f"{what}: the run was trained with {_named(note['model'])}, here is {_named(model)}; install that model"
        )
    signal, _ = prepare(column, what, ids=ids, most_broken=0.0)
    steps = note["steps"]
    return Signal(signal.values[:, :steps], signal.mask[:, :steps])


def _named(model: Mapping[str, str]) -> str:
    return " ".join(f"{key} {value[:16]}" for key, value in model.items()) or "no model"


def _extract(
    column: RawColumn,
    extractor: Extractor,
    keys: ContentKeys,
    arrays: ArrayCache,
    broken: dict[int, str],
    label: str | None,
    workers: int,
) -> None:
    """Put what the cache lacks into it."""
    missing = [code for code in range(len(keys)) if not arrays.has(keys.key(code))]
    with ThreadPoolExecutor(workers) as pool, _bar(label, len(keys), len(keys) - len(missing)) as bar:
        for part in _batches(missing, extractor.batch):
            decoded = list(pool.map(lambda code: _decoded(column, int(keys.first[code]), extractor.most_seconds), part))
            whole = {code: sample for code, (sample, _) in zip(part, decoded, strict=True) if sample is not None}
            failed = {code: reason for code, (_, reason) in zip(part, decoded, strict=True) if reason is not None}
            extracted, unusable = _try(extractor, whole)
            arrays.put({keys.key(code): array for code, array in extracted.items()})
            for code, reason in {**failed, **unusable}.items():
                broken.update(dict.fromkeys(keys.rows(code), reason))
            bar.update(len(part))


def _batches(codes: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(codes), size):
        yield codes[start : start + size]


def _decoded(column: RawColumn, row: int, most_seconds: float) -> tuple[Any, str | None]:
    try:
        return decode(column.kind, column.source(row), most_seconds), None
    except SampleError as error:
        return None, str(error)


def _try(extractor: Extractor, samples: Mapping[int, Any]) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """Arrays of the samples, one by one if the batch holds one that cannot be used, and why those cannot."""
    if not samples:
        return {}, {}
    try:
        return dict(zip(samples, extractor.extract(list(samples.values())), strict=True)), {}
    except SampleError as error:
        if len(samples) == 1:
            return {}, dict.fromkeys(samples, str(error))
    extracted: dict[int, np.ndarray] = {}
    unusable: dict[int, str] = {}
    for code, sample in samples.items():
        good, bad = _try(extractor, {code: sample})
        extracted |= good
        unusable |= bad
    return extracted, unusable


def _bar(label: str | None, total: int, known: int) -> Any:
    from tqdm import tqdm

    return tqdm(
        total=total, initial=known, desc=label, unit=" rows", disable=label is None or known == total, file=sys.stderr
    )


def _check_share(broken: Mapping[int, str], present: int, most: float, ids: Sequence[str], what: str) -> None:
    if not broken or len(broken) <= most * present:
        return
    row, reason = min(broken.items())
    raise DataError(
        f"{what}: {len(broken)} of {present} samples cannot be read, the first is that of {ids[row]!r}: it {reason}; "
        f"mend them, leave them blank, or allow a larger share with most_broken (it is {most:g})"
    )


def _assemble(
    keys: ContentKeys, arrays: ArrayCache, what: str, order: np.ndarray | None, folder: Path | None
) -> Signal:
    """(R, T, *F) of the rows in `order`, T that of the longest, 0 where the mask is False."""
    lengths = np.zeros(len(keys) + 1, dtype=np.int64)  # the last one is that of rows without a sample
    readable = list(keys.codes())
    for code in readable:
        lengths[code] = arrays.shape(keys.key(code))[0]
    if not readable:
        raise DataError(f"{what}: no row has a sample that can be read; check the files, or leave the modality out")
    codes = keys.code if order is None else keys.code[order]
    longest = max(readable, key=lengths.__getitem__)
    steps, example = max(1, int(lengths.max())), arrays.get(keys.key(longest))
    shape = (len(codes), steps, *example.shape[1:])

    def blocks() -> Iterator[np.ndarray]:
        size = max(1, CHUNK // max(1, example.nbytes))
        for start in range(0, len(codes), size):
            block = np.zeros((min(size, len(codes) - start), *shape[1:]), dtype=example.dtype)
            for row, code in enumerate(codes[start : start + size].tolist()):
                if code >= 0:
                    array = arrays.get(keys.key(code))
                    block[row, : len(array)] = array
            yield block

    mask = np.arange(steps) < lengths[codes][:, None]
    return Signal(tensor_of_blocks(blocks(), shape, example.dtype, folder), torch.from_numpy(mask))

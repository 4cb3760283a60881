"""`check_dataset`: the laws of a dataset."""

from __future__ import annotations

import torch

from deconfound.data.dataset import DEVELOPMENT, Dataset
from deconfound.data.signal import Batch
from deconfound.errors import DataError

_CHUNK = 1024


def check_dataset(dataset: Dataset) -> None:
    """Check everything that training and evaluation rely on; every value is read once.

    The laws: the splits are disjoint, cover all rows and come in the order train, valid, tests; ids are unique; values
    are finite where a mask is True and 0 where it is False; no modality is absent everywhere; targets fit the task;
    rows by range and rows by number are the same; `development` holds no test row and no true factor; the
    environments number the rows.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    _check_splits(dataset)
    _check_columns(dataset)
    _check_target(dataset)
    for name in dataset.signals:
        _check_signal(dataset, name)
    _check_batches(dataset)
    _check_development(dataset)


def _check_splits(dataset: Dataset) -> None:
    seen = torch.zeros(len(dataset), dtype=torch.int64)
    for name, rows in dataset.splits.items():
        assert len(rows) > 0, f"splits: {name!r} is empty"
        assert rows.step == 1, f"splits: {name!r} is not contiguous"
        assert rows.start >= 0, f"splits: {name!r} starts before the first row"
        assert rows.stop <= len(dataset), f"splits: {name!r} ends at {rows.stop} of {len(dataset)} rows"
        seen[rows.start : rows.stop] += 1  # `Dataset` refuses splits that share rows
    assert int(seen.min()) == 1, f"splits: row {int(seen.argmin())} is in none"
    order = sorted(dataset.splits, key=lambda name: dataset.splits[name].start)
    expected = [name for name in DEVELOPMENT if name in dataset.splits]
    assert order[: len(expected)] == expected, f"splits: training rows come first, then validation; got {order}"


def _check_columns(dataset: Dataset) -> None:
    ids = dataset.columns["id"].values.tolist()
    assert len(set(ids)) == len(dataset), f"ids: {len(ids) - len(set(ids))} repeat"
    for name, column in dataset.columns.items():
        assert len(column) == len(dataset), f"metadata: {name!r} has {len(column)} of {len(dataset)} rows"
    env, labels = dataset.groups(*dataset.environment)
    assert torch.equal(env, dataset.env), "environments: `env` is not the group of the environment columns"
    assert int(env.min()) >= 0, "environments: a negative number"
    assert int(env.max()) < len(labels), "environments: a number without a name"


def _check_target(dataset: Dataset) -> None:
    target, task = dataset.target, dataset.task
    shape = (len(dataset), task.outputs) if task.kind == "multilabel" else (len(dataset),)
    assert target.shape == shape, f"target: must be {shape}; got {tuple(target.shape)}"
    if task.kind == "classification":
        assert target.dtype == torch.int64, f"target: class numbers are int64; got {target.dtype}"
        assert int(target.min()) >= 0, "target: a negative class number"
        assert int(target.max()) < task.outputs, f"target: class {int(target.max())} of {task.outputs}"
    else:
        assert target.dtype == torch.float32, f"target: float32; got {target.dtype}"
        assert bool(torch.isfinite(target).all()), "target: NaN or infinite"
        binary = task.kind != "multilabel" or bool(((target == 0) | (target == 1)).all())
        assert binary, "target: a label other than 0 and 1"


def _check_signal(dataset: Dataset, name: str) -> None:
    signal, anywhere = dataset.signals[name], False
    for start in range(0, len(signal), _CHUNK):
        values, mask = signal.values[start : start + _CHUNK], signal.mask[start : start + _CHUNK]
        steps = values.reshape(*mask.shape, -1)
        anywhere |= bool(mask.any())
        assert not values.is_floating_point() or bool(torch.isfinite(steps).all()), f"{name}: NaN or infinite values"
        assert not values.is_floating_point() or not bool(steps[~mask].any()), f"{name}: values where the mask is False"
    assert anywhere, f"{name}: absent in every row"


def _check_batches(dataset: Dataset) -> None:
    for name, rows in dataset.splits.items():
        few = range(rows.start, min(rows.stop, rows.start + 8))
        by_range, by_number = dataset.batch(few), dataset.batch(torch.arange(few.start, few.stop))
        assert _same(by_range, by_number), f"batch: rows of {name!r} by range and by number differ"
        assert by_range.ids.tolist() == list(few), f"batch: rows of {name!r} carry other ids"


def _same(a: Batch, b: Batch) -> bool:
    tensors = [
        [batch.target, batch.ids, batch.env, *[part for s in batch.signals.values() for part in (s.values, s.mask)]]
        for batch in (a, b)
    ]
    return all(torch.equal(x, y) for x, y in zip(*tensors, strict=True))


def _check_development(dataset: Dataset) -> None:
    try:
        kept = dataset.development()
    except DataError:
        assert not set(DEVELOPMENT) <= set(dataset.splits), "development: refused although train and valid are there"
        return
    stop = dataset.splits["valid"].stop
    assert len(kept) == stop, f"development: {len(kept)} rows where train and valid have {stop}"
    assert not kept.test_splits, f"development: it holds the test splits {kept.test_splits}"
    assert not kept.latents, "development: it holds true factors"
    assert set(kept.signals) == set(dataset.signals), "development: other modalities"

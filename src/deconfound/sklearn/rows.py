"""What an estimator takes as X, as modalities; and the split and the weights of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeGuard

import numpy as np
from scipy.sparse import issparse

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.datasets.frames import frame_columns, plain, resolve_column
from deconfound.datasets.grouped import grouped_split
from deconfound.datasets.in_memory import ModalityKind, dataset
from deconfound.datasets.in_memory_target import label_name
from deconfound.datasets.stratified import stratified_split
from deconfound.datasets.tabular.columns import chosen_table
from deconfound.errors import DataError
from deconfound.sklearn.samples import Samples

ValidateOn = Literal["rows", "environments"]


def holds_modalities(data: object) -> TypeGuard[Mapping[str, object]]:
    """Whether X is a mapping of modalities; one format of sparse matrices is a mapping too."""
    return isinstance(data, Mapping) and not issparse(data)


def named_columns(frame: object, modalities: Mapping[str, object], kinds: Mapping[str, ModalityKind]) -> Samples:
    """The columns of a frame that stand for modalities.

    Args:
        modalities: modality → column, or columns of numbers or categories.
        kinds: modality → "table" for columns of numbers that are to be read like those with texts.

    Raises:
        DataError: the frame lacks one.
    """
    columns = frame_columns(frame)
    named: dict[str, object] = {}
    for name, choice in modalities.items():
        wanted = [choice] if isinstance(choice, str) else list(choice) if isinstance(choice, list | tuple) else [choice]
        missing = next((column for column in wanted if column not in columns), None)
        if missing is not None:
            raise DataError(f"modalities names {missing!r} for {name!r}; the columns are {', '.join(columns)}")
        table = chosen_table(columns, choice, forced=kinds.get(name) == "table")
        named[name] = table or resolve_column(columns, choice, f"the modality {name!r}")
    return Samples(named)


def checked_rows(samples: Samples, labels: np.ndarray) -> Samples:
    """The samples, if there are as many as labels, and two or more.

    Raises:
        DataError: there are not.
    """
    if len(samples) != len(labels) or len(labels) < 2:
        raise DataError(f"X has {len(samples)} samples and y {len(labels)}; expected as many, and two or more")
    return samples


def validation_split(
    strata: Sequence[str], environment: Sequence[str] | None, share: float, validate_on: ValidateOn, seed: int
) -> list[str]:
    """(N,) "train" or "valid": equal shares of each stratum, or whole environments.

    Args:
        strata: (N,) class, or quarter of a number.
        environment: (N,) names, or None.
        share: of the validation rows, in (0, 1).

    Raises:
        DataError: a share out of range, environments that are missing or only one, or another word than the two.
    """
    if not 0 < share < 1:
        raise DataError(f"validation = {share!r}: give the share of the rows that select the epoch, between 0 and 1")
    shares = {"train": 1 - share, "valid": share}
    if validate_on == "rows":
        return stratified_split([str(row) for row in range(len(strata))], strata, shares, seed)
    if validate_on != "environments":
        raise DataError(f"validate_on is 'rows' or 'environments'; got {validate_on!r}")
    if environment is None:
        raise DataError("validate_on='environments' needs fit(X, y, environment=...)")
    return grouped_split(environment, shares, seed)


WEIGHT = "sample_weight"
"""Column of the weights in the datasets of estimators."""


def checked_weights(split: Sequence[str], sample_weight: object) -> np.ndarray | None:
    """(N,) float64 weights, or None where they are all equal; ones for validation rows that all weigh nothing.

    Args:
        sample_weight: (N,) weights of at least 0, or None.

    Raises:
        DataError: weights of another number, negative, not finite, or all 0 in the training rows.
    """
    if sample_weight is None:
        return None
    try:
        weights = np.array(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"sample_weight holds {sample_weight!r:.60}; expected ({len(split)},) numbers") from error
    train = np.array([name == "train" for name in split])
    if weights.shape != train.shape or not np.isfinite(weights).all() or weights.min() < 0:
        raise DataError(
            f"sample_weight has the shape {weights.shape}; expected ({len(split)},) finite weights of at least 0"
        )
    if not weights[train].any():
        raise DataError("sample_weight: the weights of all training rows are zero; give some a larger weight")
    if not weights[~train].any():
        weights[~train] = 1
    return None if np.ptp(weights) == 0 else weights


def environment_names(environment: object, count: int) -> list[str] | None:
    """(N,) names of the environments, or None without any.

    Raises:
        DataError: another number of values.
    """
    if environment is None:
        return None
    names = [label_name(value) for value in plain(environment)]
    if len(names) != count:
        raise DataError(f"environment has {len(names)} values for {count} samples; give each sample one")
    return names


def make_dataset(
    samples: Samples,
    task: Task,
    target: Sequence[object],
    split: Sequence[str],
    environment: Sequence[str] | None,
    kinds: Mapping[str, ModalityKind],
    weights: np.ndarray | None,
) -> Dataset:
    """The dataset of these samples; the weights are its column `WEIGHT`."""
    about: dict[str, Any] = {} if environment is None else {"environment": list(environment)}
    return dataset(
        None if weights is None else {WEIGHT: weights},
        target=list(target),
        task=task,
        split=list(split),
        modalities=dict(samples),
        kinds=kinds,
        name="samples",
        quiet=True,
        **about,
    )

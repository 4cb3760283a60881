"""Simulated annealing over splits, after the out-of-distribution split of CMU-MOSI of Sun et al. 2022 (CLUE)."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.data.quantile_edges import quantile_edges
from deconfound.data.shift.anneal import Exchange, anneal
from deconfound.data.shift.association import label_columns
from deconfound.data.shift.attributes import Attributes, attributes_of
from deconfound.errors import DataError

SHOWN = 20
"""Attributes that are listed: those whose tie to the label differs most."""


@dataclass(frozen=True)
class Shift:
    """What a shifted split cost and gained.

    Args:
        by: the attributes.
        attributes: V, how many there are.
        before, after: correlation of the attribute–label associations of test rows with those of the other rows.
        exchanged: test rows that were not test rows before.
        test_rows: rows of the test split before and after.
        label_moved: total variation distance of the label's distribution in test, before against after, in [0, 1].
        most_changed: name → (association outside of test, in test) of the attributes that differ most, class 1 of two.
        proposals: exchanges that were tried.
    """

    by: str
    attributes: int
    before: float
    after: float
    exchanged: int
    test_rows: tuple[int, int]
    label_moved: float
    most_changed: dict[str, tuple[float, float]]
    proposals: int


def shift_split(
    dataset: Dataset,
    by: str,
    *,
    correlation: float = 0.0,
    test: str = "test",
    text: str | None = None,
    group: str | None = None,
    rows: bool = False,
    seed: int = 0,
    proposals: int = 50_000,
    progress: bool = False,
) -> tuple[Dataset, Shift]:
    """Exchange rows between a test split and the other splits until attributes tell the label differently in it.

    The label's distribution in the test split stays: rows are exchanged for rows of the same class, of the same set of
    labels, or of the same fifth of a regression's targets. Whole groups are exchanged for whole groups, which keeps both
    only nearly. The same seed gives the same split on every machine.

    Args:
        by: "words", a metadata column, or "features:MODALITY".
        correlation: the largest correlation of the associations of test and other rows that is accepted, in [−1, 1]; random
            splits have about 1 where attributes are frequent.
        test: the split that becomes out of distribution.
        text: column of the texts, for words.
        group: column whose groups stay whole; those that the dataset keeps whole if left out.
        rows: exchange single rows even where the dataset keeps groups whole, which its copy then does not.
        proposals: exchanges to try at most.
        progress: draw a bar.

    Returns:
        The dataset under its new splits, named "NAME-shifted", with the shift in its provenance, and the shift.

    Raises:
        DataError: no such split, column or modality, too few rows, or a correlation that was not reached.
    """
    if not -1 <= correlation <= 1:
        raise DataError(f"correlation = {correlation}: expected a number from -1 to 1; correct it")
    if rows:
        dataset = replace(dataset, group=())
    split = dataset.metadata["split"].to_numpy(dtype=object)
    inside = np.zeros(len(dataset), dtype=bool)
    inside[list(dataset.rows(test))] = True
    if inside.all():
        raise DataError(f"{dataset.name}: all rows are in {test!r}; rows outside of it are needed for an exchange")
    attributes = attributes_of(dataset, by, text, seed)
    exchange = Exchange(attributes.held, *_labels(dataset, inside), _units(dataset, group, inside), inside)
    before = exchange.correlation()
    tried = anneal(exchange, correlation, proposals, np.random.default_rng(seed), progress)
    after = exchange.correlation()
    if after > correlation:
        raise DataError(
            f"{dataset.name}: {tried} exchanges brought the correlation of {by} and label in {test!r} and elsewhere from "
            f"{before:.2f} to {after:.2f}, not to {correlation:g}; raise 'proposals', accept {after:.2f}, or use another "
            "attribute"
        )
    report = _report(by, attributes, exchange, inside, before, after, tried)
    shifted = dataset.resplit(_relabelled(split, exchange, inside, test, seed))
    provenance = {**dataset.provenance, "shift": {**asdict(report), "seed": seed, "split": test}}
    return replace(shifted, name=f"{dataset.name}-shifted", provenance=provenance, source=None), report


def _labels(dataset: Dataset, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, C) labels, and (N,) the class, set of labels or fifth of each row."""
    target = dataset.target.double().numpy()
    if dataset.task.kind == "multilabel":
        return label_columns(target, 0), np.unique(target, axis=0, return_inverse=True)[1].ravel()
    if dataset.task.kind == "classification":
        return label_columns(target, len(dataset.task.classes)), target.astype(int)
    edges = quantile_edges(dataset.target[~inside], 5).double().numpy()
    return label_columns(target, 0), np.searchsorted(edges, target, side="right")


def _units(dataset: Dataset, group: str | None, inside: np.ndarray) -> np.ndarray:
    """(N,) number of the unit that each row is exchanged with."""
    columns = dataset.group if group is None else (group,)
    if not columns:
        return np.arange(len(dataset))
    codes, names = dataset.groups(*columns)
    both = np.intersect1d(codes[inside], codes[~inside])
    if len(both):
        raise DataError(
            f"{dataset.name}: {names[both[0]]} has rows in the test split and outside ({len(both)} groups do); split by these "
            "groups first"
        )
    return codes.numpy()


def _relabelled(split: np.ndarray, exchange: Exchange, before: np.ndarray, test: str, seed: int) -> np.ndarray:
    """(N,) split names: units that left test take the places of those that came, in random order, each as a whole."""
    labels, after = split.copy(), exchange.inside
    places = Counter(split[after & ~before].tolist())
    left = [rows for rows in exchange.units if before[rows[0]] and not after[rows[0]]]
    for number in np.random.default_rng(seed).permutation(len(left)):
        name = max(places, key=lambda name: places[name])
        labels[left[number]] = name
        places[name] -= len(left[number])
    labels[after] = test
    return labels


def _report(
    by: str,
    attributes: Attributes,
    exchange: Exchange,
    before_inside: np.ndarray,
    before: float,
    after: float,
    tried: int,
) -> Shift:
    outside, inside = exchange.outside_part.strengths()[:, -1], exchange.inside_part.strengths()[:, -1]
    order = np.argsort(-np.abs(inside - outside), kind="stable")[:SHOWN]
    changed = {attributes.names[i]: (round(float(outside[i]), 3), round(float(inside[i]), 3)) for i in order}
    bins = range(int(exchange.bins.max()) + 1)
    first, last = (
        np.array([np.mean(exchange.bins[part] == b) for b in bins]) for part in (before_inside, exchange.inside)
    )
    return Shift(
        by,
        len(attributes.names),
        before,
        after,
        int((exchange.inside & ~before_inside).sum()),
        (int(before_inside.sum()), int(exchange.inside.sum())),
        float(np.abs(first - last).sum() / 2),
        changed,
        tried,
    )

"""What a label can be tied to: words of a text, values of a metadata column, or clusters of a modality's features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from deconfound.data.dataset import Dataset
from deconfound.errors import DataError

WORDS = 500
"""Most words that are looked at, the most frequent first."""
LEAST_ROWS = 10
"""Rows of an attribute, below which it is left out."""
CLUSTERS = 20


@dataclass(frozen=True, eq=False)
class Attributes:
    """V attributes of N rows.

    Args:
        names: V names.
        held: (N, V) sparse, 1 where a row holds the attribute.
    """

    names: tuple[str, ...]
    held: sparse.csr_array


def attributes_of(dataset: Dataset, by: str, text: str | None = None, seed: int = 0) -> Attributes:
    """The attributes that `by` names.

    Args:
        by: "words" of a text column, "features:MODALITY" for clusters of its mean features, or a metadata column.
        text: column of the texts; the column with the most words per row if left out.
        seed: of the clusters.

    Raises:
        DataError: no such column or modality, a column without texts, or fewer than two attributes in enough rows.
    """
    if by == "words":
        names, held = _words(_texts(dataset, text))
    elif by.startswith("features:"):
        names, held = _clusters(dataset, by.partition(":")[2], seed)
    else:
        column = dataset.columns.get(by)
        if column is None:
            known = ", ".join(name for name in dataset.columns if name != "id")
            raise DataError(
                f"by = {by!r}: expected words, features:MODALITY or a metadata column ({known}); name one of these"
            )
        names = [str(value) for value in column.distinct]
        held = sparse.csr_array(
            (np.ones(len(dataset)), (np.arange(len(dataset)), column.codes.numpy())), shape=(len(dataset), len(names))
        )
    return _frequent(by, names, held)


def _frequent(by: str, names: list[str], held: sparse.csr_array) -> Attributes:
    kept = np.flatnonzero(np.asarray(held.sum(0)).ravel() >= LEAST_ROWS)
    if len(kept) < 2:
        raise DataError(
            f"by = {by!r}: {len(kept)} of {len(names)} values occur in {LEAST_ROWS} rows, expected two or more; choose "
            "a coarser attribute"
        )
    return Attributes(tuple(names[i] for i in kept), sparse.csr_array(held[:, kept]))


def _texts(dataset: Dataset, text: str | None) -> list[str]:
    if text is not None and text not in dataset.columns:
        raise DataError(
            f"text = {text!r}: there is no such metadata column; the store has {', '.join(dataset.columns)}"
        )
    words = {
        name: np.mean([len(value.split()) for value in column.values[:1000]])
        for name, column in dataset.columns.items()
        if column.values.dtype == object and name != "id"
    }
    column = text or max(words, key=lambda name: words[name], default=None)
    if column is None or column not in words or words[column] < 2:
        raise DataError(
            "by = 'words' needs a metadata column of texts, and none has two words a row; name one with 'text', or import "
            "the data again with the texts as a column"
        )
    return [str(value) for value in dataset.columns[column].values]


def _words(texts: list[str]) -> tuple[list[str], sparse.csr_array]:
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(binary=True, min_df=LEAST_ROWS, max_features=WORDS)
    try:
        held = counter.fit_transform(texts)
    except ValueError as error:
        raise DataError(f"by = 'words': no word occurs in {LEAST_ROWS} rows; choose another attribute") from error
    return counter.get_feature_names_out().tolist(), sparse.csr_array(held, dtype=float)


def _clusters(dataset: Dataset, modality: str, seed: int) -> tuple[list[str], sparse.csr_array]:
    from sklearn.cluster import KMeans

    if modality not in dataset.signals:
        raise DataError(
            f"by = 'features:{modality}': the store has the modalities {', '.join(dataset.signals)}; name one"
        )
    signal = dataset.signals[modality]
    if not signal.values.is_floating_point():
        raise DataError(f"by = 'features:{modality}': it holds tokens, which have no clusters; use words")
    steps = signal.mask.sum(1).clamp(min=1).unsqueeze(1)
    pooled = (signal.values.flatten(2).sum(1) / steps).double().numpy()  # values are 0 where the mask is False
    pooled = (pooled - pooled.mean(0)) / np.maximum(pooled.std(0), 1e-12)
    present = np.flatnonzero(signal.present.numpy())
    count = min(CLUSTERS, max(2, len(present) // (2 * LEAST_ROWS)))
    labels = KMeans(count, random_state=seed).fit_predict(pooled[present])
    held = sparse.csr_array((np.ones(len(present)), (present, labels)), shape=(len(dataset), count))
    return [f"cluster {number}" for number in range(count)], held

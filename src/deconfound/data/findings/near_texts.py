"""Texts that are nearly equal, such as a post and its repost with another link.

Case, links, @names, punctuation and blanks are left out. Two texts are alike if what is left is equal, or if their sets of
six-byte pieces overlap by `NEAR` (Jaccard). Candidates are found by minimal hashes: of two texts at the limit one pair in
50 is missed. Texts of less than 24 bytes are left out, since greetings are equal by chance; of long ones 512 bytes count.

Source: Broder, On the resemblance and containment of documents, 1997.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from deconfound.data.dataset import Dataset
from deconfound.data.findings.candidate_pairs import candidate_pairs
from deconfound.data.findings.near_rows import near_lines
from deconfound.data.findings.text_sketch import minimal_hashes, pieces

NEAR = 0.8
SIMILAR = "similar"
"""Key of a modality's notes in the provenance: sets of ids of rows whose texts are alike, as the dataset keeps no texts."""

_BANDS, _WIDTH = 12, 4
_SLACK, _CHUNK = 0.2, 1 << 16
_SHORTEST, _LONGEST = 24, 512
_MOST_SETS, _MOST_OF_SET = 10_000, 16  # and rows of a set that are compared with its others
_WORDS, _DISTINCT = 4, 0.5
_NOISE = re.compile(r"https?://\S+|www\.\S+|@\w+|[\W_]+")


def find(dataset: Dataset) -> list[str]:
    """One line per column of texts, or modality that was made of texts, and pair of splits."""
    lines = []
    for name in dataset.columns:
        texts = _texts(dataset, name)
        if texts is not None:
            lines += near_lines(dataset, near_texts(texts), f"the text {name!r}")
    for name, notes in dataset.provenance.get("masks", {}).items():
        if f"raw_{name}" in dataset.columns:
            continue
        lines += near_lines(dataset, _pairs_of(dataset, notes.get(SIMILAR, ())), f"the text {name!r}")
    return lines


def near_texts(texts: Sequence[str]) -> np.ndarray:
    """Pairs of alike texts.

    Returns:
        (P, 2) int64 row numbers, the lower one first.
    """
    plain = [normalised(text) for text in texts]
    rows = np.array([row for row, text in enumerate(plain) if len(text) >= _SHORTEST], dtype=np.int64)
    if len(rows) < 2:
        return np.empty((0, 2), dtype=np.int64)
    kept = [plain[row][:_LONGEST] for row in rows.tolist()]
    flat = minimal_hashes(kept, _BANDS * _WIDTH)
    hashes = flat.reshape(len(kept), _BANDS, _WIDTH)
    keys = np.zeros((len(kept), _BANDS), dtype=np.uint64)
    for place in range(_WIDTH):
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + hashes[:, :, place]
    candidates = candidate_pairs(keys.view(np.int64), hashes[:, :, 0].astype(np.float64))
    candidates = candidates[_agreement(flat, candidates) >= NEAR - _SLACK]
    sets: dict[int, frozenset[bytes]] = {}
    alike = [overlap(_pieces(sets, kept, a), _pieces(sets, kept, b)) >= NEAR for a, b in candidates.tolist()]
    return rows[candidates[alike]] if alike else np.empty((0, 2), dtype=np.int64)


def _agreement(hashes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(P,) share of equal minimal hashes, an estimate of the overlap with a standard error of .06 at the limit."""
    parts = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
    shares = [(hashes[part[:, 0]] == hashes[part[:, 1]]).mean(axis=1) for part in parts]
    return np.concatenate([np.empty(0), *shares])


def similar_note(kind: str, samples: Sequence[str | None], ids: Sequence[str]) -> dict[str, list[list[str]]]:
    """What the notes of a modality say of samples that are alike; nothing of other samples than texts."""
    sets = similar_sets([sample or "" for sample in samples], ids) if kind == "text" else []
    return {SIMILAR: sets} if sets else {}


def similar_sets(texts: Sequence[str], ids: Sequence[str]) -> list[list[str]]:
    """Sets of ids of rows whose texts are alike, directly or through others; at most 10,000 sets."""
    pairs = near_texts(texts)
    root = list(range(len(texts)))
    for first, second in pairs.tolist():
        low, high = sorted((_root(root, first), _root(root, second)))
        root[high] = low
    members: dict[int, list[str]] = {}
    for row in sorted({int(row) for row in pairs.flatten()}):
        members.setdefault(_root(root, row), []).append(ids[row])
    return list(members.values())[:_MOST_SETS]


def normalised(text: str) -> bytes:
    """The text without case, links, @names, punctuation and repeated blanks, as UTF-8."""
    plain = unicodedata.normalize("NFKC", text[: 8 * _LONGEST]).casefold()
    return " ".join(_NOISE.sub(" ", plain).split()).encode(errors="replace")


def overlap(first: frozenset[bytes], second: frozenset[bytes]) -> float:
    """Jaccard's index: shared over all."""
    return len(first & second) / len(first | second)


def _pieces(known: dict[int, frozenset[bytes]], texts: Sequence[bytes], row: int) -> frozenset[bytes]:
    if row not in known:
        known[row] = pieces(texts[row])
    return known[row]


def _root(root: list[int], row: int) -> int:
    while root[row] != row:
        root[row] = root[root[row]]
        row = root[row]
    return row


def _texts(dataset: Dataset, name: str) -> list[str] | None:
    """N texts of a column of sentences; None for ids, names and categories."""
    column = dataset.columns[name]
    if name == "id" or column.values.dtype != object or len(column.distinct) < _DISTINCT * len(dataset):
        return None
    texts = column.values.tolist()
    some = texts[:: max(1, len(texts) // 1000)]
    return texts if np.median([_size(text) for text in some]) >= _WORDS else None


def _size(text: str) -> float:
    """Words, or half of the characters where they are not divided into words."""
    return max(len(text.split()), 0 if text.isascii() else len(text) / 2)


def _pairs_of(dataset: Dataset, sets: Iterable[Iterable[str]]) -> np.ndarray:
    """(P, 2) rows of sets of ids, each of the first 16 of a set with all later ones."""
    row_of: Mapping[str, int] = {str(name): row for row, name in enumerate(dataset.columns["id"].values.tolist())}
    pairs = []
    for ids in sets:
        rows = sorted(row_of[name] for name in ids if name in row_of)
        pairs += [(first, second) for first in rows[:_MOST_OF_SET] for second in rows if first < second]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)

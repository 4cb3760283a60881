"""Real sets by name, each with a seed that draws its splits: what choices of defaults are measured on.

The tables of scikit-learn become two or three views of vectors (columns in their order). "NAME-sessions" adds a shift that
this file makes: rows are dealt to six sessions at random, each session has an offset of 0.7 N(0, 1) and a gain of
exp(0.3 N(0, 1)) per feature, in standard deviations; one session is valid and one is test. Without it the splits are drawn at
random, 60, 20 and 20 %. "NAME@ROWS" keeps about so many rows of any set, all splits together.

The corpora are read from a folder (see docs/benchmarks.md). A name of theirs ends in what is held out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from sklearn import datasets

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
from av_digits import av_digits, fewer_components
from crema_d_votes import crema_d_votes
from sources import read_arrays, whole_signal

from deconfound.data.dataset import Dataset
from deconfound.data.task import Task
from deconfound.errors import SpecError, did_you_mean

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
SESSIONS = 6
Maker = Callable[[Path, int], Dataset]


def real_set(name: str, seed: int, folder: Path) -> Dataset:
    """The set of a name.

    Args:
        seed: of the splits.
        folder: holds the corpora.

    Raises:
        SpecError: there is no such set.
    """
    plain, _, rows = name.partition("@")
    if plain not in SETS:
        raise SpecError(f"there is no set {plain!r}{did_you_mean(plain, list(SETS))}")
    dataset = SETS[plain](folder, seed)
    return fewer_rows(dataset, int(rows), seed) if rows else dataset


def fewer_rows(dataset: Dataset, rows: int, seed: int) -> Dataset:
    """About so many rows, of all splits in their old shares."""
    random = np.random.default_rng(seed)
    kept = np.zeros(len(dataset), dtype=bool)
    for own in dataset.splits.values():
        count = max(2, round(len(own) * min(1.0, rows / len(dataset))))
        kept[own.start + random.permutation(len(own))[:count]] = True
    numbers = np.flatnonzero(kept)
    batch = dataset.batch(torch.from_numpy(numbers))
    split = np.empty(len(dataset), dtype=object)
    for name, own in dataset.splits.items():
        split[own.start : own.stop] = name
    columns = {name: np.array(column.values)[numbers] for name, column in dataset.columns.items()}
    return Dataset.build(
        f"{dataset.name}-{rows}",
        dataset.task,
        batch.signals,
        batch.target,
        columns,
        split[numbers],
        environment=dataset.environment,
        group=dataset.group,
    )


def views(load: Callable[[], object], parts: int, *, classes: bool, sessions: bool) -> Maker:
    """A table of scikit-learn as `parts` vectors."""

    def make(_folder: Path, seed: int) -> Dataset:
        table = load()
        values = np.asarray(table.data, dtype=np.float64)  # type: ignore[attr-defined]
        target = np.asarray(table.target)  # type: ignore[attr-defined]
        random = np.random.default_rng(seed)
        names = [f"session{number}" for number in random.permutation(len(values)) % SESSIONS]
        if sessions:
            split = [{"session0": "test", "session1": "valid"}.get(name, "train") for name in names]
            values = _moved(values, np.array(names), random)
        else:
            rank = random.permutation(len(values)) / len(values)
            split = [("train" if r < 0.6 else "valid" if r < 0.8 else "test") for r in rank.tolist()]
        signals = {
            f"view{number}": whole_signal(part[:, None])
            for number, part in enumerate(np.array_split(values, parts, axis=1))
        }
        labels = [str(label) for label in np.unique(target)] if classes else []
        return Dataset.build(
            load.__name__.removeprefix("load_") + ("-sessions" if sessions else ""),
            Task.classification(tuple(labels)) if classes else Task.regression(),
            signals,
            torch.from_numpy(target.astype(np.int64 if classes else np.float32)),
            {"id": [str(row) for row in range(len(values))], "session": names},
            split,
            environment=("session",),
            group=("session",) if sessions else (),
        )

    return make


def _moved(values: np.ndarray, sessions: np.ndarray, random: np.random.Generator) -> np.ndarray:
    spread, moved = values.std(0), values.copy()
    for name in np.unique(sessions):
        offset, gain = 0.7 * random.normal(size=values.shape[1]), np.exp(0.3 * random.normal(size=values.shape[1]))
        rows = sessions == name
        moved[rows] = values.mean(0) + gain * (values[rows] - values.mean(0)) + offset * spread
    return moved


def _speaker_out(folder: Path, seed: int) -> Dataset:
    """Another speaker is test with each seed, the next one valid; audio as the means and deviations of its bands."""
    whole = av_digits(folder / "av-digits", variant="speaker", speaker=SPEAKERS[seed % 6], seed=seed)
    mel, pixels = whole.signals["audio"].values.numpy(), whole.signals["image"].values.numpy()
    third = np.concatenate([part.mean(1) for part in np.array_split(mel, 3, axis=1)] + [mel.std(1)], axis=1)
    train = np.zeros(len(whole), dtype=bool)
    train[whole.splits["train"].start : whole.splits["train"].stop] = True
    flat = fewer_components(pixels.reshape(len(pixels), -1), train, 0.0)[0]
    split = np.empty(len(whole), dtype=object)
    for name, rows in whole.splits.items():
        split[rows.start : rows.stop] = "test" if name.startswith("test") else name
    metadata = {name: np.array(whole.columns[name].values) for name in ("id", "speaker")}
    return Dataset.build(
        "av-digits-speaker",
        whole.task,
        {"audio": whole_signal(third[:, None]), "image": whole_signal(flat[:, None])},
        whole.target,
        metadata,
        split,
        environment=("speaker",),
        group=("speaker",),
    )


def _written_digits(folder: Path, seed: int) -> Dataset:
    """20,000 written digits, the upper and the lower half."""
    arrays = read_arrays(folder / "av-digits" / "mnist20k.npz", ("X", "y"))
    rank = np.random.default_rng(seed).permutation(len(arrays["y"])) / len(arrays["y"])
    halves = (arrays["X"].reshape(len(rank), -1) / np.float32(255)).reshape(len(rank), 2, 392)
    return Dataset.build(
        "written-digits",
        Task.classification(tuple("0123456789")),
        {"upper": whole_signal(halves[:, :1]), "lower": whole_signal(halves[:, 1:])},
        torch.from_numpy(arrays["y"].astype(np.int64)),
        {"id": [str(row) for row in range(len(rank))]},
        [("train" if r < 0.6 else "valid" if r < 0.8 else "test") for r in rank.tolist()],
    )


def _votes(variant: str) -> Maker:
    def make(folder: Path, seed: int) -> Dataset:
        dataset = crema_d_votes(folder / "crema-d-votes", variant=variant, seed=seed)  # type: ignore[arg-type]
        split = np.empty(len(dataset), dtype=object)
        for name, rows in dataset.splits.items():
            split[rows.start : rows.stop] = {"test-iid": "test" if variant == "actors" else "test-iid"}.get(name, name)
        return dataset.resplit(np.where(split == "test-ood", "test", split))

    return make


SETS: Mapping[str, Maker] = {
    **{
        name + suffix: views(load, parts, classes=classes, sessions=bool(suffix))
        for name, load, parts, classes in (
            ("digits", datasets.load_digits, 2, True),
            ("wine", datasets.load_wine, 2, True),
            ("breast-cancer", datasets.load_breast_cancer, 3, True),
            ("diabetes", datasets.load_diabetes, 2, False),
        )
        for suffix in ("", "-sessions")
    },
    "av-digits-speaker": _speaker_out,
    "crema-d-actors": _votes("actors"),
    "crema-d-levels": _votes("levels"),
    "written-digits": _written_digits,
}
"""Name → (folder of the corpora, seed) → dataset with a split "test"."""

"""Another corpus under a trained run: whether it has the run's form, where its results are kept, rows that both hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from deconfound.data.dataset import Dataset
from deconfound.data.findings.equal_rows import row_digests
from deconfound.data.signal import Signal
from deconfound.data.splits import DEVELOPMENT
from deconfound.data.task import Modality, Task
from deconfound.datasets.repair import Repair
from deconfound.datasets.tabular.spec import Notes, check_same_encoding, notes_of
from deconfound.errors import DataError, DeconfoundError, did_you_mean
from deconfound.evaluation.predictions import load_predictions
from deconfound.evaluation.records import CORPORA, CORPUS
from deconfound.io.files import file_stem, write_json
from deconfound.prediction.stored_rows import repaired_as
from deconfound.runs.scale_by import scaled_by
from deconfound.runs.spec import DataSpec


class OverlapWarning(UserWarning):
    """Rows of another corpus are rows that the run was trained or validated on."""


@dataclass(frozen=True)
class Corpus:
    """Rows that a run is evaluated on.

    Args:
        data: with the modalities that the run uses, in the form that it expects.
        checksum: of the data as they were stored.
        folder: where predictions and records are kept: the run's directory for its own data, else a folder in it.
        modalities: all modalities of the data, those that the run does not use among them.
        own: True for the data that the run was trained on.
    """

    data: Dataset
    checksum: str
    folder: Path
    modalities: tuple[str, ...]
    own: bool


def other_corpus(
    run: Path,
    dataset: Dataset,
    modalities: Mapping[str, Modality],
    task: Task,
    data: DataSpec,
    repairs: Mapping[str, Repair] | None = None,
    preparations: Notes | None = None,
) -> Corpus:
    """Another corpus in the form of a run.

    Args:
        run: the run's directory.
        dataset: any rows with the run's modalities, classes, task and protocol; further modalities are left out.
        modalities, task: those that the run was trained on.
        data: the run's columns of environments and of groups that scale their own inputs; where the corpus lacks one, its own
            environment stays, and the training rows scale.
        repairs: modality → what training did with values that are not finite; the corpus gets the features that are left.
        preparations: modality → how the run's data were read.

    Raises:
        DataError: one line that names the first difference of form.
    """
    _check_task(dataset, task)
    check_same_encoding(f"the corpus {dataset.name!r}", notes_of(dataset.provenance), preparations or {})
    repaired = replace(dataset, signals=repaired_as(dataset, repairs or {}))
    signals = {name: _conform(repaired, modality) for name, modality in modalities.items()}
    folder = run / CORPORA / f"{file_stem(dataset.name)}-{dataset.checksum[:12]}"
    if data.environment is not None and set(data.environment) <= set(dataset.columns):
        dataset = dataset.with_environment(*data.environment)
    if data.scale_by is not None:
        dataset = scaled_by(dataset, data.scale_by, optional=True)
    return Corpus(replace(dataset, signals=signals), dataset.checksum, folder, tuple(dataset.signals), own=False)


def describe_corpus(corpus: Corpus) -> None:
    """Write name, checksum and rows by split of another corpus into its folder.

    Raises:
        RunError: the file cannot be written.
    """
    splits = {name: len(rows) for name, rows in corpus.data.splits.items()}
    write_json(corpus.folder / CORPUS, {"name": corpus.data.name, "checksum": corpus.checksum, "splits": splits})


def warn_of_overlap(run: Path, load: Callable[[], Dataset], corpus: Corpus) -> None:
    """Warn where rows that a run was trained or validated on would be tested.

    Args:
        load: gives the data of the run; where it raises, the kept predictions of its validation rows tell by id and label.
    """
    try:
        own = load()
    except DeconfoundError:  # a dataset in memory, or a store that moved
        own = None
    if own is not None:
        shared = shared_rows(own, corpus.data)
        rows = ", ".join(f"{count} of {len(corpus.data.splits[split])} in {split}" for split, count in shared.items())
    else:
        rows = "by the ids and labels of its validation rows" if _holds_validation_rows(run, corpus.data) else ""
    if rows:
        warnings.warn(
            f"rows of {corpus.data.name} are training or validation rows of {run} ({rows}): their results say nothing "
            "about new data; evaluate other splits, or remove these rows",
            OverlapWarning,
            stacklevel=4,
        )


def _holds_validation_rows(run: Path, other: Dataset) -> bool:
    path = run / "predictions" / f"{file_stem('valid')}.npz"
    if not path.is_file():
        return False
    kept = load_predictions(path)
    known = set(zip(kept.ids.tolist(), map(repr, kept.target.tolist()), strict=True))
    return known <= set(zip(map(str, other.columns["id"].values), map(repr, other.target.tolist()), strict=True))


def shared_rows(own: Dataset, other: Dataset) -> dict[str, int]:
    """Split of `other` → number of its rows that equal a training or validation row of `own` in all modalities of `own`."""
    seen = {
        digest for _, digest in _present_rows(own, [own.splits[name] for name in DEVELOPMENT if name in own.splits])
    }
    same = other.only(*own.signals)
    counts = {
        split: sum(digest in seen for _, digest in _present_rows(same, [rows])) for split, rows in other.splits.items()
    }
    return {split: count for split, count in counts.items() if count}


def _present_rows(dataset: Dataset, parts: list[range]) -> Iterator[tuple[int, bytes]]:
    """Number and digest of each row of the parts in which a modality is present."""
    present = torch.stack([signal.present for signal in dataset.signals.values()]).any(dim=0).tolist()
    for rows in parts:
        yield from ((row, digest) for row, digest in zip(rows, row_digests(dataset, rows), strict=True) if present[row])


def _check_task(dataset: Dataset, task: Task) -> None:
    mine = dataset.task
    if mine.kind != task.kind:
        raise _misfit(dataset, f"its task is {mine.kind}, the run's is {task.kind}", f"--task {task.kind}")
    if mine.classes != task.classes:
        ours, theirs = (", ".join(map(repr, classes)) for classes in (mine.classes, task.classes))
        remedy = f"classes = [{theirs}] under [target]"
        raise _misfit(dataset, f"its classes are {ours}, the run's are {theirs}", remedy)
    if mine.protocol != task.protocol:
        raise _misfit(
            dataset, f"its protocol is {mine.protocol!r}, the run's is {task.protocol!r}", f"--protocol {task.protocol}"
        )


def _conform(dataset: Dataset, modality: Modality) -> Signal:
    """The signal of a modality with the run's number of steps; steps that no row has are padded or cut off."""
    if modality.name not in dataset.signals:
        hint = did_you_mean(modality.name, dataset.signals)
        raise DataError(f"the corpus {dataset.name!r} has no modality {modality.name!r}, which the run needs{hint}")
    signal, mine, steps = dataset.signals[modality.name], dataset.modalities[modality.name], modality.steps
    longer = mine.steps > steps and bool(signal.mask[:, steps:].any())
    real_tokens = modality.kind == "tokens" and signal.values.is_floating_point()
    if mine.shape != modality.shape or (mine.steps == 1) != (steps == 1) or longer or real_tokens:
        what = f"{mine} of real numbers" if real_tokens else str(mine)
        raise _misfit(
            dataset, f"it has {what}, the run expects {modality}", "the same features and at most as many steps"
        )
    if mine.steps > steps:
        return Signal(signal.values[:, :steps], signal.mask[:, :steps])
    if mine.steps == steps:
        return signal
    more = steps - mine.steps
    values = F.pad(signal.values, [0, 0] * len(modality.shape) + [0, more])
    return Signal(values, F.pad(signal.mask, [0, more]))


def _misfit(dataset: Dataset, difference: str, remedy: str) -> DataError:
    return DataError(
        f"the corpus {dataset.name!r} has another form than the data of the run: {difference}; import it with {remedy}"
    )

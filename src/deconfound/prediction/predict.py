"""Predictions for new rows, from a store, a table or JSON lines to CSV or JSON lines. Labels are not needed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch

from deconfound.data.group_scale import group_scale, warn_of_unknown
from deconfound.data.signal import Batch, GroupMoments, Signal
from deconfound.data.task import Modality, Task
from deconfound.errors import DataError, SpecError, did_you_mean
from deconfound.evaluation.outputs import CHUNK, check_finite, collect_outputs
from deconfound.io.csv_text import csv_row_writer
from deconfound.io.files import atomic_write
from deconfound.io.plain_text import json_line, unfiltered
from deconfound.nn.inference import apply_to_batches
from deconfound.prediction.conform import conform
from deconfound.prediction.groups import groups_in_file
from deconfound.prediction.joined import in_one
from deconfound.prediction.region import Region, region_columns, region_rows
from deconfound.prediction.rows import Rows, read_jsonl
from deconfound.prediction.source import JSON_LINES, RAW_TABLES, check_source
from deconfound.prediction.stored_rows import repaired_as

if TYPE_CHECKING:
    from deconfound.datasets.repair import Repair
    from deconfound.method import Method
    from deconfound.prediction.raw_rows import Preparations

FORMATS = ("csv", "jsonl")


def predict_rows(
    method: Method,
    modalities: Mapping[str, Modality],
    task: Task,
    signals: Mapping[str, Signal],
    ids: Sequence[str],
    *,
    device: str | torch.device = "cpu",
    groups: Sequence[str] | None = None,
) -> np.ndarray:
    """Predict N rows.

    Args:
        modalities: the modalities that the method was trained on.
        signals: modality name → `Signal` of N rows; a modality that is left out is absent.
        ids: N row names for error messages.
        device: where to compute, such as "cuda".
        groups: N names of the groups whose own rows scale them, as in training; "" for none.

    Returns:
        (N, outputs) float32 predictions, or logits of the classes.

    Raises:
        DataError: `deconfound.prediction.conform.conform` refuses the signals.
        RunError: an output is not finite or has another shape than the task's.
    """
    output = collect_outputs(method, _conformed(modalities, task, signals, ids, groups), task, device=device)
    check_finite(np.asarray(~np.isfinite(output).all(axis=1)), ids, type(method).__name__)
    return output


def embed_rows(
    method: Method,
    modalities: Mapping[str, Modality],
    task: Task,
    signals: Mapping[str, Signal],
    ids: Sequence[str],
    *,
    device: str | torch.device = "cpu",
    groups: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Modality → (N, D) float32 representations that predict; arguments and errors as for `predict_rows`."""

    def features(batch: Batch) -> dict[str, np.ndarray]:
        parts = method.representations(batch).predictive
        return {name: values.float().cpu().numpy() for name, values in parts.items()}

    parts = apply_to_batches(method, _conformed(modalities, task, signals, ids, groups), features, device)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def predict_file(
    method: Method,
    modalities: Mapping[str, Modality],
    task: Task,
    source: Path,
    out: Path | None,
    format: str = "csv",  # noqa: A002 (the word of the command line)
    *,
    device: str | torch.device = "cpu",
    repairs: Mapping[str, Repair] | None = None,
    preparations: Preparations | None = None,
    target: str | Sequence[str] | None = None,
    raw: bool = False,
    unlabelled: bool = False,
    scale_by: Sequence[str] | None = None,
    region: Region | None = None,
) -> int:
    """Predict all rows of a file and write id, prediction and, for a classification, the probability of every class.

    CSV has the columns id, prediction, p_CLASS…; a JSON line is {"id", "prediction", "probabilities": {class: p}}. A
    prediction is a number in target units, the name of the most probable class, or the names of all labels whose probability
    is a half or more, joined by "|".

    Args:
        modalities: the modalities that the method was trained on.
        source: a store, the TOML file of a table, a .jsonl file, "-" for JSON lines from standard input, or a .csv or
            .parquet with a column of raw samples per modality. A store or table that holds all modalities of the run may
            hold others too; a JSON line may not.
        out: a file that is written whole or not at all; None writes to standard output, chunk by chunk.
        format: "csv" or "jsonl".
        repairs: modality → what training did with values that are not finite.
        preparations: modality → how the raw samples of training were read, and those of the source will be.
        target: column of the labels of training, which a JSON line may hold too.
        unlabelled: only the rows of a table that have no label; of a .csv or .parquet those that lack a `target`.
        raw: write the texts of CSV as they are, for programs; else a spreadsheet computes none of them, see
            `deconfound.io.csv_text.defuse`. A terminal shows no control character in either case.
        scale_by: columns of the groups whose own rows scale them; then all rows are read before the first is predicted, and
            an `UnknownGroupWarning` says how many have no group.
        region: what makes an interval or a set of each row; CSV then also has the columns low and high, or in_CLASS…, which
            are 0 or 1, and a JSON line "interval": [low, high] or "set": [class…].

    Returns:
        The number of rows.

    Raises:
        SpecError: the format does not exist, or `out` is the source.
        DataError: the source cannot be read, holds no row or does not fit what the run expects.
        RunError: `out` cannot be written, or an output is not finite.
    """
    if format not in FORMATS:
        raise SpecError(f"there is no output format {format!r}{did_you_mean(format, FORMATS)}")
    if out is not None and out.is_file() and source.exists() and out.samefile(source):
        raise SpecError(f"{out} is the input itself; choose another output file")
    chunks = _chunks(source, modalities, repairs or {}, preparations or {}, target, unlabelled, scale_by or ())
    if scale_by is not None:
        chunks = in_one(chunks)
    first = next(chunks, None)
    if first is None:
        raise DataError(f"{source} holds no row to predict; give one or more")
    groups = None if scale_by is None else groups_in_file(source, scale_by)
    if groups is not None:
        warn_of_unknown(str(source), groups.count(""), len(groups), " and ".join(map(repr, scale_by or ())))

    def write_predictions(file: IO[str]) -> int:
        write, count = _writer(file, format, task, region, raw=raw), 0
        ids, signals = first
        while True:
            write(ids, predict_rows(method, modalities, task, signals, ids, device=device, groups=groups))
            count += len(ids)
            chunk = next(chunks, None)
            if chunk is None:
                return count
            ids, signals = chunk

    if out is None:
        return write_predictions(unfiltered(sys.stdout) if raw and not sys.stdout.isatty() else sys.stdout)
    with atomic_write(out) as file:
        return write_predictions(file)


def _conformed(
    modalities: Mapping[str, Modality],
    task: Task,
    signals: Mapping[str, Signal],
    ids: Sequence[str],
    groups: Sequence[str] | None,
) -> Iterator[Batch]:
    """The rows in batches of at most `CHUNK`, in the shapes of the run."""
    scale = None if groups is None else group_scale(conform(signals, modalities, ids), groups)
    for start in range(0, len(ids), CHUNK):
        part = slice(start, start + CHUNK)
        cut = {name: Signal(signal.values[part], signal.mask[part]) for name, signal in signals.items()}
        own = {} if scale is None else scale.of(range(start, min(start + CHUNK, len(ids))))
        yield _unlabelled(conform(cut, modalities, ids[part]), task, own)


def _unlabelled(signals: Mapping[str, Signal], task: Task, own: Mapping[str, GroupMoments]) -> Batch:
    count = len(next(iter(signals.values())))
    zeros = torch.zeros(count, dtype=torch.int64)
    return Batch(signals, task.blank_target(count), torch.arange(count), zeros, own=own)


def _chunks(
    source: Path,
    modalities: Mapping[str, Modality],
    repairs: Mapping[str, Repair],
    preparations: Preparations,
    target: str | Sequence[str] | None,
    unlabelled: bool,
    beside: Sequence[str],
) -> Iterator[Rows]:
    check_source(source)
    targets = (target,) if isinstance(target, str) else tuple(target or ())
    raw_table = source.suffix.lower() in RAW_TABLES
    if unlabelled and not (source.suffix.lower() == ".toml" or (raw_table and targets)):
        raise SpecError(
            f"--unlabelled is for the .toml of a table, or a .csv or .parquet with the column of the labels; got {source}"
        )
    if str(source) == "-":
        yield from read_jsonl(sys.stdin.buffer, modalities, CHUNK, repairs, preparations, target, beside)
    elif source.is_dir():
        yield from _stored(source, repairs, preparations)
    elif source.suffix.lower() in JSON_LINES:
        yield from read_jsonl(source, modalities, CHUNK, repairs, preparations, target, beside)
    elif raw_table:
        from deconfound.prediction.raw_rows import read_raw_table

        yield from read_raw_table(source, preparations, CHUNK, targets if unlabelled else ())
    else:
        from deconfound.datasets.table_source import read_inputs

        signals, ids = read_inputs(source, repairs, preparations, unlabelled)
        if ids:
            yield list(ids), dict(signals)


def _stored(source: Path, repairs: Mapping[str, Repair], preparations: Preparations) -> Iterator[Rows]:
    from deconfound.data.store import open_verified
    from deconfound.datasets.tabular.spec import check_same_encoding, notes_of

    dataset = open_verified(source)
    check_same_encoding(str(source), notes_of(dataset.provenance), preparations)
    dataset = replace(dataset, signals=repaired_as(dataset, repairs))
    ids = dataset.columns["id"].values
    for start in range(0, len(dataset), CHUNK):
        rows = range(start, min(start + CHUNK, len(dataset)))
        yield [str(name) for name in ids[rows.start : rows.stop]], dict(dataset.batch(rows).signals)


def _writer(
    file: IO[str],
    format: str,  # noqa: A002
    task: Task,
    region: Region | None,
    *,
    raw: bool,
) -> Callable[[Sequence[str], np.ndarray], None]:
    """A function that writes B ids and their (B, outputs); its first call writes the header."""
    write_row = csv_row_writer(file, raw=raw)
    names = ["id", "prediction", *[f"p_{name}" for name in task.classes], *(region_columns(task) if region else [])]
    header, written = [names] if format == "csv" else [], 0

    def write(ids: Sequence[str], output: np.ndarray) -> None:
        nonlocal written
        while header:
            write_row(header.pop())
        extra = list(region_rows(region, output, task, written)) if region else [([], {})] * len(ids)
        for name, row, (cells, fields) in zip(ids, _prediction_rows(output, task), extra, strict=True):
            if format == "csv":
                write_row([name, row["prediction"], *row.get("probabilities", {}).values(), *cells])
            else:
                file.write(json_line({"id": name, **row, **fields}) + "\n")
        written += len(ids)
        file.flush()

    return write


def _prediction_rows(output: np.ndarray, task: Task) -> Iterator[dict[str, Any]]:
    if task.kind == "regression":
        yield from ({"prediction": _short(value)} for value in output[:, 0])
        return
    for logits, row in zip(output, task.probabilities(torch.from_numpy(output)).numpy(), strict=True):
        probabilities = {name: float(f"{value:.6g}") for name, value in zip(task.classes, row, strict=True)}
        yield {"prediction": predicted_name(logits, task), "probabilities": probabilities}


def predicted_name(logits: np.ndarray, task: Task) -> str:
    """The most probable class of a row, or its labels, joined by "|"; (outputs,) logits."""
    if task.kind == "multilabel":
        return "|".join(name for name, logit in zip(task.classes, logits, strict=True) if logit >= 0)
    return task.classes[int(logits.argmax())]


def _short(value: np.float32) -> float:
    """The shortest decimal number that reads back as this float32."""
    return float(str(value))

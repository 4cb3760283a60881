"""Rows to predict that are in memory, and predictions as tables: what a run in a notebook takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.group_scale import warn_of_unknown
from deconfound.data.signal import Signal
from deconfound.data.task import Kind, Modality, Task
from deconfound.datasets.frames import is_split, numbers_of
from deconfound.datasets.in_memory_raw import holds_images, is_raw, prepared_again
from deconfound.datasets.in_memory_rows import MemoryRows, memory_rows
from deconfound.datasets.in_memory_signal import repaired, steps_of
from deconfound.datasets.repair import Repair
from deconfound.datasets.tabular.columns import Table, table_of
from deconfound.datasets.tabular.encoding import TabularEncoding
from deconfound.datasets.tabular.spec import check_same_encoding, encodings_of, notes_of
from deconfound.errors import DataError
from deconfound.prediction.conform import expectation, unknown_modality
from deconfound.prediction.groups import groups_in_memory, without_groups
from deconfound.prediction.predict import embed_rows, predict_rows, predicted_name
from deconfound.prediction.rows import Rows
from deconfound.prediction.stored_rows import repaired_as

if TYPE_CHECKING:
    import pandas as pd

    from deconfound.method import Method
    from deconfound.prediction.raw_rows import Preparations


@dataclass(frozen=True)
class MemoryPredictor:
    """A trained method and what it takes; every function takes rows in memory, see `memory_inputs`.

    Args:
        method: in eval mode.
        modalities, columns, repairs, preparations: as for `memory_inputs`.
        task: what is predicted.
        device: where to compute, such as "cuda".
        target: column or columns of the labels of training, which is ignored.
        scale_by: columns of the groups whose own rows scale them, None where the training rows scale all.
    """

    method: Method
    modalities: Mapping[str, Modality]
    task: Task
    columns: Mapping[str, Any]
    repairs: Mapping[str, Repair]
    preparations: Preparations
    device: str
    target: str | Sequence[str] | None = None
    scale_by: Sequence[str] | None = None

    def predict(self, data: object, ids: object, lengths: Mapping[str, object] | None) -> pd.DataFrame:
        names, signals = self._inputs(data, ids, lengths)
        return prediction_table(self._outputs(names, signals, data), self.task, names)

    def probabilities(self, data: object, ids: object, lengths: Mapping[str, object] | None) -> pd.DataFrame:
        if self.task.kind == "regression":
            raise DataError("a regression has no probabilities; use predict")
        names, signals = self._inputs(data, ids, lengths)
        return probability_table(self._outputs(names, signals, data), self.task, names)

    def features(self, data: object, ids: object, lengths: Mapping[str, object] | None) -> pd.DataFrame:
        names, signals = self._inputs(data, ids, lengths)
        known = (self.method, self.modalities, self.task, signals, names)
        features = embed_rows(*known, device=self.device, groups=self._groups(data, len(names)))
        return feature_table(features, names)

    def _inputs(self, data: object, ids: object, lengths: Mapping[str, object] | None) -> Rows:
        return memory_inputs(
            data if self.scale_by is None else without_groups(data, self.scale_by, self.modalities),
            self.modalities,
            columns=self.columns,
            repairs=self.repairs,
            preparations=self.preparations,
            target=self.target,
            ids=ids,
            lengths=lengths or {},
        )

    def _outputs(self, ids: Sequence[str], signals: Mapping[str, Signal], data: object) -> np.ndarray:
        known = (self.method, self.modalities, self.task, signals, ids)
        return predict_rows(*known, device=self.device, groups=self._groups(data, len(ids)))

    def _groups(self, data: object, count: int) -> list[str] | None:
        if self.scale_by is None:
            return None
        groups = groups_in_memory(data, self.scale_by, count)
        warn_of_unknown("the data", groups.count(""), count, " and ".join(map(repr, self.scale_by)))
        return groups


def memory_inputs(
    data: object,
    modalities: Mapping[str, Modality],
    *,
    columns: Mapping[str, Any],
    repairs: Mapping[str, Repair],
    preparations: Preparations,
    target: str | Sequence[str] | None = None,
    ids: object,
    lengths: Mapping[str, object],
) -> Rows:
    """The ids and signals of N rows.

    Args:
        data: a dataset; or a frame whose columns have the names of training, or those of the modalities; or a mapping of
            modalities to arrays. What it lacks is absent in all rows.
        modalities: those that the run was trained on.
        columns: modality → column or columns of the frame of training.
        repairs: modality → what training did with values that are not finite.
        preparations: modality → how the raw samples of training were read.
        target: column or columns of the labels of training, which is ignored.
        ids, lengths: as for `deconfound.dataset`.

    Raises:
        DataError: data of another form, a name or column that the run does not know, or no modality at all.
    """
    if isinstance(data, Dataset):
        check_same_encoding(data.name, notes_of(data.provenance), preparations)
        names = [str(name) for name in data.columns["id"].values]
        signals = repaired_as(data, repairs)
        return names, {name: signals[name] for name in modalities if name in signals}
    encodings = encodings_of({name: note for name, note in preparations.items() if name in modalities})
    rows = _inputs(data, modalities, columns, encodings, target, ids)
    signals = {}
    for name, choice in rows.modalities.items():
        what = f"the modality {name!r}"
        if isinstance(choice, Signal):
            signals[name] = choice
            continue
        if isinstance(choice, Table):
            signals[name] = encodings[name].encode(choice.columns, what, rows.ids)
            continue
        values = rows.column(choice, what)
        images = name in preparations and preparations[name]["kind"] == "image" and holds_images(values)
        if is_raw(values) or images:
            if name not in preparations:
                raise DataError(f"{what} holds texts or paths; {expectation({name: modalities[name]})}")
            signals[name] = prepared_again(values, what, preparations[name], rows.ids)
            continue
        counts = numbers_of(rows.column(lengths[name], "lengths"), "lengths") if name in lengths else None
        steps = steps_of(values, what, kind=_kind(modalities[name]), lengths=counts)
        signals[name] = repaired(steps, what, repairs.get(name) or Repair("frame", 0))[0]
    return rows.ids, signals


def prediction_table(output: np.ndarray, task: Task, ids: Sequence[str]) -> pd.DataFrame:
    """Predictions of N rows, in their order, with the ids as the index.

    Args:
        output: (N, outputs) predictions or logits.

    Returns:
        the column "prediction", a number in target units, the name of the most probable class or the names of the labels
        joined by "|"; of a classification also "p_CLASS" for every class or label, in [0, 1].
    """
    import pandas as pd

    index = pd.Index(ids, name="id")
    if task.kind == "regression":
        return pd.DataFrame({"prediction": output[:, 0]}, index=index)
    classes = [predicted_name(logits, task) for logits in output]
    shares = probability_table(output, task, ids).add_prefix("p_")
    shares.insert(0, "prediction", classes)
    return shares


def probability_table(output: np.ndarray, task: Task, ids: Sequence[str]) -> pd.DataFrame:
    """The probability of every class in [0, 1], one column per class, with the ids as the index."""
    import pandas as pd

    shares = task.probabilities(torch.from_numpy(output)).numpy()
    return pd.DataFrame(shares, index=pd.Index(ids, name="id"), columns=list(task.classes))


def feature_table(features: Mapping[str, np.ndarray], ids: Sequence[str]) -> pd.DataFrame:
    """Features of N rows, modality → (N, D), as the columns "MODALITY.NUMBER", with the ids as the index."""
    import pandas as pd

    names = [f"{name}.{number}" for name, values in features.items() for number in range(values.shape[1])]
    return pd.DataFrame(np.concatenate(list(features.values()), axis=1), index=pd.Index(ids, name="id"), columns=names)


def _inputs(
    data: object,
    modalities: Mapping[str, Modality],
    columns: Mapping[str, Any],
    encodings: Mapping[str, TabularEncoding],
    target: str | Sequence[str] | None,
    ids: object,
) -> MemoryRows:
    """The rows, with the columns or tables that stand for modalities."""
    targets = (target,) if isinstance(target, str) else target or ()
    columns = {**columns, **{name: encoding.names for name, encoding in encodings.items()}}
    if isinstance(data, Mapping) and not is_split(data):
        unknown = [name for name in data if name not in modalities and name not in ("id", *targets)]
        named = {name for choice in columns.values() for name in ([choice] if isinstance(choice, str) else choice)}
        if unknown and not modalities.keys() <= data.keys() and not named & data.keys():
            raise DataError(unknown_modality(str(unknown[0]), modalities))
        whole = any(isinstance(values, Signal) or (n in encodings and table_of(values)) for n, values in data.items())
        if whole:
            others = {n: (n in encodings and table_of(v)) or v for n, v in data.items() if n in modalities}
            return memory_rows(None, others, data.get("id", ids))
    frame = memory_rows(data, dict.fromkeys(modalities), ids)
    chosen: dict[str, object] = {}
    for name in modalities:
        if name in encodings:
            there = {column: frame.columns[column] for column in encodings[name].names if column in frame.columns}
            if there:
                chosen[name] = Table(there)
        elif name in columns and frame.is_named(columns[name]):
            chosen[name] = columns[name]
        elif name in frame.columns:
            chosen[name] = name
    if not chosen:
        raise DataError(f"the rows have no modality (columns {', '.join(frame.columns)}); {expectation(modalities)}")
    return MemoryRows(frame.columns, frame.ids, chosen, frame.id_column)


def _kind(modality: Modality) -> Kind:
    """How new rows of a modality are read, whatever their number of steps."""
    return "sequence" if modality.kind == "image" and modality.steps > 1 else modality.kind

"""`Dataset`: signals, target, metadata and splits of one corpus, ordered so that test rows can be left out physically."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from deconfound.data.columns import Columns, MetadataColumn
from deconfound.data.group_scale import GroupScale, dataset_groups, group_scale
from deconfound.data.mapped import byte_chunks
from deconfound.data.schema import dataset_schema, named_tensors
from deconfound.data.signal import Batch, Signal
from deconfound.data.splits import DEVELOPMENT, TAKE_VALID, check_ranges, check_split_names, rows_by_split
from deconfound.data.summary import summary_html, summary_lines
from deconfound.data.task import Modality, Task
from deconfound.data.validation import check_all_have_split, check_rows
from deconfound.errors import DataError, did_you_mean
from deconfound.registry import names as component_names

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """N rows of all modalities; each split is one contiguous range of rows, "train" first, "valid" second, then the tests.

    In this order `development` is a view of the rows; in any other it copies them. Either way training and selection never
    hold a test row. Build one with `Dataset.build`, which sorts and checks every row; the constructor checks only lengths,
    names and that no row is in two splits.

    Args:
        name: corpus name.
        task: prediction task.
        signals: modality name → `Signal` of N rows; values are 0 where the mask is False.
        target: (N,) float32 or int64 class numbers, or (N, L) float32 of 0 and 1; see `Batch`.
        columns: metadata, one value per row; "id" is text and unique.
        splits: split name → range of rows.
        environment: columns whose combinations are the environments; empty for none.
        group: columns, such as the speaker, whose values in train or valid may not occur in another split.
        provenance: source of the rows and the processing applied, JSON values only.
        latents: name → (N, D) true factors of synthetic data, for diagnostics; never part of a batch.
        source: store that the rows were opened from; None for rows that were made in memory.
        scale_by: columns whose groups scale their own inputs, within each split; part of a run, not of a store.
    """

    name: str
    task: Task
    signals: Mapping[str, Signal]
    target: Tensor
    columns: Columns
    splits: Mapping[str, range]
    environment: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    latents: Mapping[str, Tensor] = field(default_factory=dict)
    source: Path | None = None
    scale_by: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sizes = {name: len(signal) for name, signal in self.signals.items()}
        sizes |= {name: len(column) for name, column in self.columns.items()}
        sizes |= {name: len(values) for name, values in self.latents.items()}
        wrong = {name: size for name, size in sizes.items() if size != len(self.target)}
        if wrong:
            raise DataError(
                f"{self.name}: the target has {len(self.target)} rows; these differ: {wrong}; give all the same rows"
            )
        if not self.signals or "id" not in self.columns:
            raise DataError(f"{self.name}: a dataset needs at least one modality and a metadata column 'id'; give both")
        for column in (*self.environment, *self.group, *self.scale_by):
            self._column(column)
        check_ranges(self.splits, len(self.target))

    @classmethod
    def build(
        cls,
        name: str,
        task: Task,
        signals: Mapping[str, Signal],
        target: Tensor,
        metadata: Mapping[str, MetadataColumn | Sequence[object] | np.ndarray | Tensor],
        split: Sequence[str] | np.ndarray,
        *,
        environment: Sequence[str] = (),
        group: Sequence[str] = (),
        provenance: Mapping[str, Any] | None = None,
        latents: Mapping[str, Tensor] | None = None,
    ) -> Dataset:
        """Sort rows by split and check all of them.

        Args:
            metadata: columns of N values; must hold "id".
            split: N split names; rows of the same name keep their order. "train" and "valid" are for development, every
                other name is a test split.

        Raises:
            DataError: a row that `check_rows` refuses.
        """
        labels = np.array([str(name) for name in split], dtype=object)
        if len(labels) != len(target):
            raise DataError(f"{name}: {len(target)} targets but {len(labels)} split names; give each row one")
        check_all_have_split(name, labels.tolist())
        names = list(dict.fromkeys(labels.tolist()))
        check_split_names(names, component_names("corruptions"))
        order = [s for s in DEVELOPMENT if s in names] + [s for s in names if s not in DEVELOPMENT]
        sizes = [int((labels == s).sum()) for s in order]
        stops = np.cumsum(sizes).tolist()
        splits = {s: range(stop - size, stop) for s, size, stop in zip(order, sizes, stops, strict=True)}
        rows = torch.tensor(rows_by_split(labels.tolist()), dtype=torch.int64)
        if not torch.equal(rows, torch.arange(len(rows))):
            signals = {m: signal.select(rows) for m, signal in signals.items()}
            target, latents = target[rows], {k: v[rows] for k, v in (latents or {}).items()}
        columns = Columns(metadata).select(rows)
        names_and_notes = (tuple(environment), tuple(group), provenance or {}, latents or {})
        dataset = cls(name, task, dict(signals), target, columns, splits, *names_and_notes)
        check_rows(dataset)
        return dataset

    def __len__(self) -> int:
        return len(self.target)

    def __repr__(self) -> str:
        return "\n".join(summary_lines(self))

    def _repr_html_(self) -> str:
        return summary_html(self)

    @property
    def modalities(self) -> dict[str, Modality]:
        """Modality name → number of steps and shape of one step."""
        return {
            name: Modality(name, signal.values.shape[1], tuple(signal.values.shape[2:]))
            for name, signal in self.signals.items()
        }

    @cached_property
    def metadata(self) -> pd.DataFrame:
        """(N rows) all columns and the split of each row."""
        import pandas as pd

        split = np.empty(len(self), dtype=object)
        for name, rows in self.splits.items():
            split[rows.start : rows.stop] = name
        return pd.DataFrame({**{name: column.values for name, column in self.columns.items()}, "split": split})

    @property
    def test_splits(self) -> tuple[str, ...]:
        """Names of all splits but "train" and "valid", in the order of their rows."""
        return tuple(name for name in self.splits if name not in DEVELOPMENT)

    def rows(self, split: str) -> range:
        """Row numbers of a split.

        Raises:
            DataError: there is no such split.
        """
        if split not in self.splits:
            raise DataError(f"{self.name} has no split {split!r}{did_you_mean(split, self.splits)}")
        return self.splits[split]

    def where(self, conditions: Mapping[str, object]) -> Tensor:
        """(R,) int64 rows whose columns equal a value, or one of a list of values; 7 never equals "7".

        Raises:
            DataError: an unknown column, or no row matches.
        """
        keep = np.ones(len(self), dtype=bool)
        for name, wanted in conditions.items():
            column = self._column(name).values
            values = wanted if isinstance(wanted, list | tuple | set) else [wanted]
            comparable = [value for value in values if isinstance(value, str) == (column.dtype == object)]
            keep &= np.isin(column, np.array(comparable, dtype=object if column.dtype == object else None))
        if not keep.any():
            raise DataError(f"{self.name}: no row has {dict(conditions)}; change the filter")
        return torch.from_numpy(np.flatnonzero(keep))

    def groups(self, *names: str) -> tuple[Tensor, list[str]]:
        """Number the combinations of columns that occur.

        Returns:
            (N,) int64 group of each row, and the group names "speaker=anna, room=2" in the order of their numbers. Without
            columns all rows are in one group "all".
        """
        if not names:
            return torch.zeros(len(self), dtype=torch.int64), ["all"]
        codes = torch.stack([self._column(name).codes for name in names], dim=1)
        distinct, group = torch.unique(codes, dim=0, return_inverse=True)
        labels = [[str(value) for value in self.columns[name].distinct] for name in names]
        text = [
            ", ".join(f"{n}={labels[i][code]}" for i, (n, code) in enumerate(zip(names, row, strict=True)))
            for row in distinct.tolist()
        ]
        return group, text

    @cached_property
    def env(self) -> Tensor:
        """(N,) int64 environment of each row."""
        return self.groups(*self.environment)[0]

    def batch(self, rows: str | range | Tensor) -> Batch:
        """A split by name, a range of rows (a view), or an (R,) integer tensor of rows (a copy)."""
        if isinstance(rows, str):
            rows = self.rows(rows)
        own = {} if self._own is None else self._own.of(rows)
        if isinstance(rows, range):
            cut = slice(rows.start, rows.stop)
            signals = {name: Signal(s.values[cut], s.mask[cut]) for name, s in self.signals.items()}
            return Batch(signals, self.target[cut], torch.arange(rows.start, rows.stop), self.env[cut], own=own)
        signals = {name: signal.select(rows) for name, signal in self.signals.items()}
        return Batch(signals, self.target.index_select(0, rows), rows, self.env.index_select(0, rows), own=own)

    @cached_property
    def _own(self) -> GroupScale | None:
        return group_scale(self.signals, dataset_groups(self, self.scale_by)) if self.scale_by else None

    def development(self) -> Dataset:
        """Only the training and validation rows: a view that keeps their row numbers where they come first, else a copy.

        Raises:
            DataError: there is no "train" or no "valid".
        """
        missing = [name for name in DEVELOPMENT if name not in self.splits]
        if missing:
            raise DataError(
                f"{self.name} has no split {missing[0]!r} (it has {', '.join(self.splits)}); training needs both"
                + (f"; {TAKE_VALID}" if "train" in self.splits else "")
            )
        train, valid = (self.splits[name] for name in DEVELOPMENT)
        stop = len(train) + len(valid)
        splits = {"train": range(len(train)), "valid": range(len(train), stop)}
        rows = slice(0, stop) if (train, valid) == tuple(splits.values()) else torch.tensor([*train, *valid])
        signals = {name: Signal(s.values[rows], s.mask[rows]) for name, s in self.signals.items()}
        columns = self.columns.select(rows)
        return replace(self, signals=signals, target=self.target[rows], columns=columns, splits=splits, latents={})

    def only(self, *names: str) -> Dataset:
        """The same rows with only these modalities.

        Raises:
            DataError: a modality that does not exist.
        """
        for name in names:
            if name not in self.signals:
                raise DataError(f"{self.name} has no modality {name!r}{did_you_mean(name, self.signals)}")
        return replace(self, signals={name: self.signals[name] for name in names})

    def with_environment(self, *names: str) -> Dataset:
        """The same rows with these metadata columns as the environment."""
        return replace(self, environment=names)

    def resplit(self, split: Sequence[str] | np.ndarray) -> Dataset:
        """The same rows under other splits (a sorted copy); `split` names the split of each row; "" drops the row."""
        labels = np.array([str(name) for name in split], dtype=object)
        if len(labels) != len(self):
            raise DataError(f"{self.name}: {len(self)} rows but {len(labels)} split names; give each row one")
        rows = torch.from_numpy(np.flatnonzero(labels != ""))
        sorted_rows = Dataset.build(
            self.name,
            self.task,
            {name: signal.select(rows) for name, signal in self.signals.items()},
            self.target[rows],
            self.columns.select(rows),
            labels[rows.numpy()],
            environment=self.environment,
            group=self.group,
            provenance=self.provenance,
            latents={name: values[rows] for name, values in self.latents.items()},
        )
        return replace(sorted_rows, source=self.source, scale_by=self.scale_by)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of everything a result can depend on: names, task, splits and the bytes of every tensor."""
        digest = hashlib.sha256(json.dumps(dataset_schema(self), sort_keys=True).encode())
        for name, tensor in sorted(named_tensors(self).items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            for part in byte_chunks(tensor):
                digest.update(part)
        return digest.hexdigest()

    def _column(self, column: str) -> MetadataColumn:
        if column not in self.columns:
            raise DataError(f"{self.name} has no metadata column {column!r}{did_you_mean(column, self.columns)}")
        return self.columns[column]


def evenly_spaced(rows: range, most: int) -> Tensor:
    """(R,) int64 rows of a range, evenly spaced where there are more than `most`."""
    count = min(len(rows), most)
    return rows.start + torch.linspace(0, len(rows) - 1, count, dtype=torch.float64).round().long()

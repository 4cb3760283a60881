"""The TOML of a table and the files it names: a manifest with one row per sample, and one array per modality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ValidationError

from deconfound.data.missing_words import unlabelled_rows, with_none
from deconfound.data.signal import Signal
from deconfound.datasets.arrays import array_signal, resolve_inside
from deconfound.datasets.label_sets import LabelMatrix, binary_columns, label_sets, split_names
from deconfound.datasets.manifest import Values, column, numbers, read_manifest, texts
from deconfound.datasets.raw_modality import RawSpec, raw_signal
from deconfound.datasets.repair import Fitting, Repair
from deconfound.datasets.table_spec import ArraySpec, TableSpec, TargetSpec
from deconfound.datasets.tabular.encoding import TabularEncoding
from deconfound.datasets.tabular.spec import Notes, TabularSpec, columns_signal, encodings_of
from deconfound.datasets.toml_file import read_data_toml
from deconfound.errors import DataError, did_you_mean
from deconfound.registry import explain

_Model = TypeVar("_Model", bound=BaseModel)


class TableSource:
    """A TOML and its manifest, read and checked."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.spec = _validate(TableSpec, read_data_toml(self.path, "description of the table"), str(self.path))
        self.manifest = resolve_inside(self.path.parent, self.spec.manifest)
        self._written = read_manifest(self.manifest, files=self.raw_columns)
        self.columns: dict[str, Values] = with_none(self._written, self.spec.missing)
        self.ids = self.texts(self.spec.id)
        repeated, count = Counter(self.ids).most_common(1)[0]
        if count > 1:
            raise DataError(
                f"{self.manifest}: id {repeated!r} occurs {count} times; ids must be unique: number "
                "repeated ones, or keep one of them"
            )

    def column(self, name: str) -> Values:
        return column(self.columns, name, self.manifest)

    def texts(self, name: str) -> list[str]:
        """A column as text, which no row may leave empty."""
        values = self.column(name)
        if None in values:
            raise DataError(
                f"{self.manifest}: {self._gap(name)}; every row needs one: fill it, leave the row out, or "
                "list other words for no value with missing"
            )
        return texts(values)

    def labels(self, target: TargetSpec) -> list[str] | np.ndarray | LabelMatrix:
        """(N) class names, (N,) float64 numbers, or several labels a row; "" or NaN where a row has none and may.

        Raises:
            DataError: a row without a label, unless the target says `unlabelled = "drop"`.
        """
        if target.unlabelled == "refuse":
            empty = next((name for name in target.names if None in self.column(name)), None)
            if empty is not None:
                raise DataError(
                    f"{self.manifest}: {self._gap(empty)}; every row of a dataset needs a label: leave such rows out "
                    "with unlabelled = \"drop\" under [target], and give them to 'deconfound predict'"
                )
        what = f"{self.manifest}: target"
        if target.columns is not None:
            return binary_columns({name: self.column(name) for name in target.columns}, what)
        assert target.column is not None
        values = self.column(target.column)
        if target.kind == "multilabel":
            return label_sets(split_names(values, target.separator), what, target.classes)
        return self.numbers(target.column) if target.kind == "regression" else texts(values)

    def _gap(self, name: str) -> str:
        """`row 5 has no 'label' (it holds 'nan'; 12 of 100 rows have none)`."""
        values = self.column(name)
        row = values.index(None)
        word = self._written[name][row]
        holds = f"it holds {word!r}; " if isinstance(word, str) else ""
        return f"row {row + 1} has no {name!r} ({holds}{values.count(None)} of {len(values)} rows have none)"

    @property
    def raw_columns(self) -> set[str]:
        """Columns that hold the samples of a modality."""
        return {array["column"] for array in self.spec.modalities.values() if isinstance(array.get("column"), str)}

    def numbers(self, name: str) -> np.ndarray:
        return numbers(self.column(name), f"{self.manifest}: {name!r}")

    def signals(
        self,
        train: np.ndarray,
        repairs: Mapping[str, Repair] | None = None,
        encodings: Mapping[str, TabularEncoding] | None = None,
        order: np.ndarray | None = None,
    ) -> tuple[dict[str, Signal], dict[str, dict[str, Any]]]:
        """All modalities, and what became of the values of each that are not finite, or how raw samples were prepared.

        Args:
            train: (N,) bool: the rows to learn from.
            repairs: modality → a repair that was learnt before.
            encodings: modality → how its columns were read before.
            order: (R,) the rows to return, in their order; all by default.
        """
        signals: dict[str, Signal] = {}
        masks: dict[str, dict[str, Any]] = {}
        for name, array in self.spec.modalities.items():
            what = f"{self.path}: modalities.{name}"
            if "columns" in array:
                spec = _validate(TabularSpec, array, what)
                if encodings is not None and name not in encodings:
                    raise DataError(f"{what}: the run did not read {name!r} from columns; leave it out of the table")
                signal, masks[name] = self._columns(name, spec, train, (encodings or {}).get(name))
                signals[name] = signal if order is None else signal.select(torch.from_numpy(order))
                continue
            if "column" in array:
                raw = _validate(RawSpec, array, what)
                signals[name], masks[name] = raw_signal(
                    raw, self.column(raw.column), self.ids, self.path.parent, what, order
                )
                continue
            if "file" not in array:
                known = {*ArraySpec.model_fields, *RawSpec.model_fields, *TabularSpec.model_fields}
                odd = next((key for key in array if key not in known), None)
                if odd is not None:
                    raise DataError(f"{what}: there is no argument {odd[:80]!r}{did_you_mean(odd[:80], known)}")
                raise DataError(
                    f"{what}: name an array with file, a column of texts or of paths to images, recordings or videos with "
                    "column, or columns of numbers and categories with columns"
                )
            spec = _validate(ArraySpec, array, what)
            signal, masks[name] = array_signal(
                resolve_inside(self.path.parent, spec.file),
                key=spec.key,
                kind=spec.kind,
                rows=None if spec.row is None else self.numbers(spec.row),
                lengths=None if spec.lengths is None else self.numbers(spec.lengths),
                ids=self.ids,
                what=what,
                repair=(repairs or {}).get(name) or Fitting(train, spec.invalid, spec.indicator),
            )
            signals[name] = signal if order is None else signal.select(torch.from_numpy(order))
        return signals, masks

    def _columns(
        self, name: str, spec: TabularSpec, train: np.ndarray, encoding: TabularEncoding | None
    ) -> tuple[Signal, dict[str, Any]]:
        """The rows of several columns; a column that only the training rows had may be absent."""
        if encoding is not None:
            known = {column: self.columns[column] for column in encoding.names if column in self.columns}
            return encoding.encode(known, name, self.ids), {}
        table = {column: self.column(column) for column in spec.columns}
        folder = self.path.parent
        return columns_signal(spec, table, train, self.ids, name=name, folder=folder, missing=self.spec.missing)


def read_inputs(
    path: str | Path,
    repairs: Mapping[str, Repair] | None = None,
    preparations: Notes | None = None,
    unlabelled: bool = False,
) -> tuple[dict[str, Signal], list[str]]:
    """Read only the inputs; [split] and, unless `unlabelled`, [target] are ignored and may be absent.

    Args:
        path: the TOML of a table.
        repairs: modality → what training did with values that are not finite; without one their steps are masked.
        preparations: modality → how training read it; columns of a table are read alike.
        unlabelled: only rows without a label.

    Returns:
        modality name → `Signal` of N rows, and the N ids, in the order of the manifest.

    Raises:
        DataError: a file, column, shape or id that is not as described, in one line.
    """
    table = TableSource(path)
    masked = {name: Repair("frame", 0) for name in table.spec.modalities} | dict(repairs or {})
    encodings = encodings_of(preparations or {})
    signals = table.signals(np.zeros(len(table.ids), dtype=bool), masked, encodings)[0]
    if not unlabelled:
        return signals, table.ids
    target = table.spec.target
    if target is None:
        raise DataError(f"{table.path}: there is no [target], so no row is known to lack its label; name its column")
    rows = unlabelled_rows({name: table.column(name) for name in target.names})
    return {name: signal.select(torch.tensor(rows)) for name, signal in signals.items()}, [table.ids[r] for r in rows]


def _validate(model: type[_Model], values: dict[str, Any], what: str) -> _Model:
    try:
        return model(**values)
    except ValidationError as error:
        raise DataError(f"{what}: {explain(error, model)}") from error

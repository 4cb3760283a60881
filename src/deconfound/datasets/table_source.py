"""The TOML of a table and the files it names: a manifest with one row per sample, and one array per modality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from deconfound.data.missing_words import MISSING, unlabelled_rows, with_none
from deconfound.data.one_label import ONE_LABEL
from deconfound.data.signal import Signal
from deconfound.data.task import TaskKind
from deconfound.datasets.arrays import array_signal, resolve_inside
from deconfound.datasets.label_sets import LabelMatrix, binary_columns, label_sets, split_names
from deconfound.datasets.manifest import Values, column, numbers, read_manifest, texts
from deconfound.datasets.raw_modality import RawSpec, raw_signal
from deconfound.datasets.repair import Fitting, Invalid, Repair
from deconfound.datasets.tabular.encoding import TabularEncoding
from deconfound.datasets.tabular.spec import Notes, TabularSpec, columns_signal, encodings_of
from deconfound.datasets.toml_file import read_data_toml
from deconfound.errors import DataError, did_you_mean
from deconfound.registry import explain

_Model = TypeVar("_Model", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TargetSpec(_Part):
    """[target]: one column, or several 0/1 columns of labels."""

    column: str | None = None
    columns: tuple[str, ...] | None = None
    kind: TaskKind | None = None
    classes: tuple[str, ...] | None = None
    separator: str = Field(default="|", min_length=1)
    loss: Literal["mse", "l1"] | None = None
    protocol: str | None = None
    unlabelled: Literal["refuse", "drop"] = "refuse"

    @model_validator(mode="before")
    @classmethod
    def _labels_by_columns(cls, values: Any) -> Any:
        return {"kind": "multilabel", **values} if isinstance(values, dict) and "columns" in values else values

    @field_validator("column", mode="before")
    @classmethod
    def _one_column(cls, column: object) -> object:
        if isinstance(column, list):
            raise PydanticCustomError(
                "several_columns", "{what}", {"what": f"expected the name of one column; {ONE_LABEL}"}
            )
        return column

    @model_validator(mode="after")
    def _one_way(self) -> TargetSpec:
        if (self.column is None) == (self.columns is None):
            raise ValueError("a target is one column, or several with columns")
        if self.columns is not None and (self.kind != "multilabel" or self.classes is not None):
            raise ValueError("columns are the labels of a multilabel target; leave kind and classes out")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that hold the labels."""
        return self.columns or ((self.column,) if self.column is not None else ())


class SplitSpec(_Part):
    """[split]: a column, or shares of rows or of whole groups; with a column, no two splits may share a `group`."""

    column: str | None = None
    valid: float | None = Field(None, gt=0, lt=1)
    group: tuple[str, ...] | None = None
    seed: int | None = Field(None, ge=0)
    shares: dict[str, float] | None = None
    stratify: bool | None = None

    @model_validator(mode="after")
    def _one_way(self) -> SplitSpec:
        if (self.column is None) == (self.shares is None):
            raise ValueError(
                "a split is either a column, or shares such as { train = 0.7, valid = 0.15, test = 0.15 }, of whole "
                "groups where group names their columns"
            )
        if self.shares is not None and self.valid is not None:
            raise ValueError("valid takes a share of train where a column names the splits; name it among the shares")
        drawn = {"seed": self.seed, "stratify": self.stratify}
        set_ = next((name for name, value in drawn.items() if value is not None), None)
        if self.column is not None and self.valid is None and set_ is not None:
            raise ValueError(f"{set_} is for rows that are drawn; a column says itself which rows belong together")
        return self

    @property
    def drawn_by_class(self) -> bool:
        """Whether classes get equal shares: as `stratify` says, else where single rows are drawn."""
        return not self.group if self.stratify is None else self.stratify


class ArraySpec(_Part):
    """[modalities.NAME]"""

    file: str
    key: str | None = None
    row: str | None = None
    kind: Literal["vector", "sequence", "image", "tokens"] | None = None
    lengths: str | None = None
    invalid: Invalid = "feature"
    indicator: bool = False


class TableSpec(_Part):
    """The whole TOML; `target` and `split` may be absent when only inputs are read."""

    name: str | None = None
    manifest: str
    id: str = "id"
    environment: tuple[str, ...] = ()
    metadata: tuple[str, ...] | None = None
    missing: tuple[str, ...] = MISSING
    target: TargetSpec | None = None
    split: SplitSpec | None = None
    modalities: dict[str, dict[str, Any]] = Field(min_length=1)


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

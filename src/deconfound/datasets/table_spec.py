"""The TOML of a table, table by table."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from deconfound.data.missing_words import MISSING
from deconfound.data.one_label import ONE_LABEL
from deconfound.data.task import TaskKind
from deconfound.datasets.repair import Invalid


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

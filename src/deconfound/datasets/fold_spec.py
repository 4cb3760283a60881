"""Declarations of folds: how the rows of one dataset become several, each of which leaves a part out as its test."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Kind = Literal["k-fold", "leave-one-group-out"]

FOLDS = 5
"""Folds where a declaration names no number."""


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class FoldsSpec(BaseModel):
    """[folds] of a sweep."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind = Field(default="k-fold", description="'k-fold', or 'leave-one-group-out' for a fold per group")
    group: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), description="columns whose groups stay whole; default: the 'group' of the data"
    )
    folds: int | None = Field(default=None, ge=2, le=1000, description=f"number of a k-fold; default: {FOLDS}")
    stratify: bool = Field(
        default=True, description="give the classes, or the quarters of a number, equal shares in all parts"
    )
    valid: float = Field(default=0.15, gt=0, lt=1, description="share of the rows not left out that are 'valid'")
    valid_by: Literal["group", "row"] = Field(
        default="group", description="'group' validates on whole groups, 'row' on rows of the groups of train"
    )
    test_iid: float = Field(
        default=0.0, ge=0, lt=1, description="share of the rows not left out that are 'test-iid', from groups of train"
    )
    keep_tests: bool = Field(
        default=False, description="keep the test splits of the data as tests of every fold, and fold only the others"
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="of all draws of rows")

    @model_validator(mode="after")
    def _fits(self) -> FoldsSpec:
        if self.kind == "leave-one-group-out" and self.folds is not None:
            raise ValueError("'leave-one-group-out' has a fold for each group; remove 'folds', or take kind = 'k-fold'")
        if self.valid + self.test_iid >= 1:
            raise ValueError(f"valid = {self.valid:g} and test_iid = {self.test_iid:g} leave no rows to train on")
        return self

    @property
    def count(self) -> int:
        """Number of folds of a k-fold."""
        return self.folds or FOLDS


class FoldSpec(FoldsSpec):
    """One fold: `fold` under [data] of a specification."""

    left_out: str = Field(min_length=1, description="name of the part that is the test: 'speaker=anna' or 'fold 1'")

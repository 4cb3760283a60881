"""What a table leaves open: the kind of its target, and its split. Each assumption is one sentence for the user."""

from __future__ import annotations

from deconfound.datasets.in_memory_target import MOST_CLASSES
from deconfound.datasets.manifest import as_metadata
from deconfound.datasets.table_source import TableSource
from deconfound.datasets.table_spec import SplitSpec, TargetSpec
from deconfound.errors import DataError

_COLUMN = "split"
_SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}


def with_kind(table: TableSource, target: TargetSpec) -> tuple[TargetSpec, list[str]]:
    """The target with a kind, and what was assumed.

    Texts, booleans and up to 20 different whole numbers are classes; other numbers are to be predicted as such.

    Raises:
        DataError: more whole numbers, which may be either.
    """
    if target.kind is not None or target.column is None:
        return target, []
    labels = as_metadata([value for value in table.column(target.column) if value is not None])
    distinct = len(set(labels.tolist()))
    if target.classes is None and labels.dtype.kind in "iu" and distinct > MOST_CLASSES:
        raise DataError(
            f"{table.path}: the target {target.column!r} holds {distinct} different whole numbers, which may be classes or "
            'measurements; add kind = "classification" or kind = "regression" under [target]'
        )
    kind = "regression" if labels.dtype.kind == "f" and target.classes is None else "classification"
    line = f"the target {target.column!r} is taken as a {kind}, as it holds {'numbers' if kind == 'regression' else 'classes'}"
    return target.model_copy(update={"kind": kind}), [line]


def with_split(table: TableSource) -> tuple[SplitSpec, list[str]]:
    """The split of a table, by default its column "split", else rows at random, and what was assumed."""
    if table.spec.split is not None:
        return table.spec.split, []
    if _COLUMN in table.columns:
        return SplitSpec(column=_COLUMN, valid=None, seed=None), [f"the column {_COLUMN!r} names the splits"]
    shares = ", ".join(f"{share:.0%} {name}" for name, share in _SHARES.items())
    line = (
        f"there is no [split]: rows were drawn at random ({shares}); where rows belong together, such as those of a speaker, "
        "name the column that says so as group under [split]"
    )
    return SplitSpec(valid=None, seed=0, shares=_SHARES, stratify=True), [line]

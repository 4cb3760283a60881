"""The fold that a run was trained on, as its environment.json notes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from deconfound.datasets.fold_spec import FoldSpec


@dataclass(frozen=True)
class FoldResult:
    """The fold that a run was trained on.

    Args:
        of: name of the folded data; checksum: of these.
        name: of the part that was left out.
        number: of the fold, from 1.
        declared: kind and group of the folds, in words; declaration: all of it, as JSON.
        grouped: whether the part left out are groups that are not in train.
    """

    of: str
    checksum: str
    name: str
    number: int
    declared: str
    declaration: str
    grouped: bool


class _Note(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    of: str
    checksum: str
    number: int
    spec: FoldSpec


def read_fold(note: Any) -> FoldResult | None:
    """The note of `deconfound.datasets.folds.fold_of`; None for None.

    Raises:
        ValueError: it is something else.
    """
    if note is None:
        return None
    checked = _Note.model_validate(note)
    spec = checked.spec
    declared = spec.kind + (f" by {', '.join(spec.group)}" if spec.group else "")
    declaration = json.dumps(spec.model_dump(mode="json", exclude={"left_out"}), sort_keys=True)
    return FoldResult(
        of=checked.of,
        checksum=checked.checksum,
        name=spec.left_out,
        number=checked.number,
        declared=declared,
        declaration=declaration,
        grouped=bool(spec.group),
    )

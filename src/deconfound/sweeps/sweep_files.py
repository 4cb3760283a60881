"""What the JSON files of a sweep must hold for their readers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_Count = Annotated[int, Field(ge=0, lt=2**31)]
_Name = Annotated[str, Field(pattern=r"^[^./\x00][^/\x00]{0,63}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class _Training(_Part):
    epochs: Annotated[int, Field(ge=1, lt=2**31)]


class _RunSpec(_Part):
    data: dict[str, Any]
    train: _Training


class _Job(_Part):
    id: _Name
    dataset: str
    method: str
    draw: _Count
    seed: _Count
    left_out: str | None
    spec: _RunSpec
    final: bool = False


class _Budget(_Part):
    rule: str


class SweepJson(_Part):
    """sweep.json"""

    name: str
    budget: _Budget
    jobs: list[_Job]


class _Candidate(_Part):
    runs: list[_Name]


class _Choice(_Part):
    dataset: str
    method: str
    rule: str
    draw: _Count
    config: str
    key: str
    metric: str
    score: float
    runs: list[_Name]
    candidates: list[_Candidate]


class SelectionJson(_Part):
    """selection.json and screening.json"""

    chosen: list[_Choice]

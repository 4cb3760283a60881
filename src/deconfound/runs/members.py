"""The members of an ensemble, as its folder names them; loads no PyTorch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from deconfound.errors import RunError
from deconfound.io.limits import ARRAYS
from deconfound.io.reading import FileKind, read_bytes, read_model, reading

ENSEMBLE = "ensemble.json"
"""File of a run that is an ensemble: its members, in order."""
MEMBERS = "members"
"""Folder of an ensemble with a copy of each member."""

_FILE = FileKind("ensemble's file", RunError, "delete the ensemble and make it again with 'deconfound ensemble'")
_WEIGHTS = FileKind("checkpoint", RunError, "make the ensemble again from runs that are whole", ARRAYS)
_Name = Annotated[str, Field(pattern=r"^[^/\\\x00]+$", min_length=1, max_length=255)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Member(BaseModel):
    """One member: a folder in `members`.

    Args:
        name: of the folder.
        method: label of the member.
        seed: of its training.
        weights: SHA-256 of the checkpoint that predicts.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    name: _Name
    method: str
    seed: int
    weights: _Digest


class _Ensemble(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    members: list[Member] = Field(min_length=2)


def read_members(run: Path) -> list[Member]:
    """The members of a run that is an ensemble; none of any other run.

    Raises:
        RunError: the file is damaged, or names a folder outside of the ensemble.
    """
    path = run / ENSEMBLE
    with reading(path, _FILE):
        if not path.exists():
            return []
    members = _Ensemble.model_validate(read_model(path, _FILE, _Ensemble)).members
    for member in members:
        if member.name in (".", ".."):
            raise RunError(f"{path} is damaged: {member.name!r} is not the name of a member; {_FILE.remedy}")
    return members


def check_single(run: Path, what: str) -> None:
    """Refuse an ensemble where one model is needed.

    Args:
        what: what cannot be done with several models, for the error.

    Raises:
        RunError: the run is an ensemble.
    """
    members = read_members(run)
    if members:
        raise RunError(
            f"{run} is an ensemble, {what} needs one model; give a member: {run / MEMBERS / members[0].name}"
        )


def digest_of(path: Path) -> str:
    """SHA-256 of a checkpoint.

    Raises:
        RunError: it cannot be read.
    """
    return hashlib.sha256(read_bytes(path, _WEIGHTS)).hexdigest()

"""`OwnCode`: what a specification can only name. Loads no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deconfound.nn.own_encoders import OwnEncoder
    from deconfound.runs.own_code import OwnMethod


@dataclass(frozen=True, eq=False)
class OwnCode:
    """Code of the user in memory.

    Args:
        method: a class, or a method that is copied and stays as it is; None for one that has a name or a file.
        encoders: modality → encoder.
    """

    method: OwnMethod | None = None
    encoders: Mapping[str, OwnEncoder] = field(default_factory=dict)


NO_CODE = OwnCode()

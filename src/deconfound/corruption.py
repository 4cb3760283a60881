"""`Corruption`: a random change of the inputs of a batch, with a severity."""

from __future__ import annotations

import hashlib
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset


class Corruption(ABC):
    """Base of all corruptions. A subclass takes keyword-only arguments and keeps each under its own name.

    Arguments are annotated `Annotated[list[str] | None, Field(description="...")]`, as for methods.
    `deconfound.testing.check_corruption` states the laws: severity 0 is the identity, the generator decides, the
    input stays as it is, masks only shrink, values are 0 where the mask is False, target, ids and environments stay, and
    the mean change grows with the severity.
    """

    @abstractmethod
    def __call__(self, batch: Batch, severity: float, generator: torch.Generator) -> Batch:
        """The corrupted rows.

        Args:
            batch: B rows.
            severity: 0 is the identity; each corruption defines the unit of larger values.
            generator: the only source of randomness, on the CPU, so that every device gets the same corruption.

        Raises:
            SpecError: a severity out of range or a modality that the batch does not have.
        """

    def fitted(self, dataset: Dataset) -> Corruption:
        """A corruption fitted to the training rows; itself if it needs no fit."""
        return self

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in parameters)})"


def check_severity(severity: float, maximum: float = math.inf) -> None:
    """Refuse a severity outside of [0, maximum].

    Raises:
        SpecError: out of range.
    """
    if not 0 <= severity <= maximum or math.isinf(severity):
        upper = "" if math.isinf(maximum) else f" to {maximum:g}"
        raise SpecError(f"the severity must be a number from 0{upper}; got {severity}")


def chosen(names: Sequence[str] | None, batch: Batch, otherwise: Iterable[str]) -> list[str]:
    """The modalities to corrupt: the named ones, or `otherwise` where none are named.

    Raises:
        SpecError: a name that the batch does not have.
    """
    for name in names or ():
        if name not in batch.signals:
            raise SpecError(f"there is no modality {name!r} to corrupt{did_you_mean(name, batch.signals)}")
    return list(dict.fromkeys(otherwise if names is None else names))


def seeded(*parts: object) -> torch.Generator:
    """A CPU generator whose seed is the SHA-256 of the parts: the same parts, the same stream, on every machine."""
    digest = hashlib.sha256("\x1f".join(map(repr, parts)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))


def streams(generator: torch.Generator, names: Iterable[str]) -> Mapping[str, torch.Generator]:
    """One generator per modality, so that the corruption of one does not depend on which others there are.

    Advances the generator by one draw.
    """
    base = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return {name: seeded(base, name) for name in names}


def bernoulli(share: float, shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Bool tensor, True with probability `share`; 0 is never, 1 is always."""
    return (torch.rand(tuple(shape), generator=generator) < share).to(device)

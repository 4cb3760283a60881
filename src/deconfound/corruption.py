"""`Corruption`: a random change of the inputs of a batch, with a severity."""

from __future__ import annotations

import copy
import hashlib
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Self, final

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch, Signal
from deconfound.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset


RealModalities = Annotated[
    list[str] | None,
    Field(min_length=1, description="Modalities to corrupt; none named: all that hold real numbers."),
]
SequenceModalities = Annotated[
    list[str] | None,
    Field(min_length=1, description="Modalities to corrupt; none named: all with more than one step."),
]


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


class FeatureCorruption(Corruption):
    """Base of corruptions that change the features of existing steps in units of their training mean and deviation.

    A subclass takes `modalities` and says how values change; tokens are refused, and left alone where none are named.
    """

    maximum: ClassVar[float] = math.inf
    """Largest severity."""

    def __init__(self, modalities: list[str] | None) -> None:
        self.modalities = modalities
        self._scale: dict[str, tuple[Tensor, Tensor]] | None = None

    @abstractmethod
    def _changed(
        self, values: Tensor, severity: float, mean: Tensor, std: Tensor, generator: torch.Generator
    ) -> Tensor:
        """(B, T, *F) values → corrupted ones; mean and std broadcast to F, and the severity is above 0."""

    @final
    def fitted(self, dataset: Dataset) -> Self:
        """A copy that holds the training mean and standard deviation of every feature.

        Raises:
            DataError: the dataset has no training rows.
        """
        from deconfound.nn.standardise import training_scale

        fitted = copy.copy(self)
        fitted._scale = dict(training_scale(dataset))
        return fitted

    @final
    def __call__(self, batch: Batch, severity: float, generator: torch.Generator) -> Batch:
        """See `Corruption`.

        Raises:
            SpecError: a severity out of range, a named modality that is absent or holds tokens, or `fitted` was not called.
        """
        check_severity(severity, self.maximum)
        real = [name for name, s in batch.signals.items() if s.values.is_floating_point() and s.values.ndim > 2]
        names = chosen(self.modalities, batch, real)
        tokens, kind = [name for name in names if name not in real], type(self).__name__
        if tokens:
            raise SpecError(f"{kind} needs real numbers, {tokens[0]!r} holds tokens; name other modalities")
        if self._scale is None or not self._scale.keys() >= set(names):
            raise SpecError(f"{kind} needs the training scale of each modality; call fitted(dataset) first")
        if severity == 0:
            return batch
        generators = streams(generator, names)
        changed: dict[str, Signal] = {}
        for name in names:
            signal = batch.signals[name]
            mean, std = (part.to(signal.values) for part in self._scale[name])
            values = self._changed(signal.values, severity, mean, std, generators[name])
            steps = signal.mask.reshape(*signal.mask.shape, *[1] * (values.ndim - 2))
            changed[name] = Signal(torch.where(steps, values, signal.values), signal.mask)
        return batch.with_signals(changed)


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


def chosen_sequences(names: Sequence[str] | None, batch: Batch) -> list[str]:
    """As `chosen`, by default the modalities with more than one step."""
    return chosen(names, batch, [name for name, signal in batch.signals.items() if signal.mask.shape[1] > 1])


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


def normal(values: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 1) of the shape, type and device of `values`, drawn where the generator lives."""
    return torch.randn(values.shape, generator=generator, dtype=torch.float32).to(values)


def bernoulli(share: float, shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Bool tensor, True with probability `share`; 0 is never, 1 is always."""
    return (torch.rand(tuple(shape), generator=generator) < share).to(device)

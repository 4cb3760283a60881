"""Gaussian noise relative to each feature's own scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconfound.corruption import Corruption, check_severity, chosen, streams
from deconfound.data.signal import Batch, Signal
from deconfound.errors import SpecError

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset


class Gaussian(Corruption):
    """Adds severity · s_f · N(0, 1) to feature f of every step that exists; s_f is its standard deviation over the
    present steps of the training rows. Severity is any number from 0, in training standard deviations.

    Source: the noise test of CmIR (10 to 70 %), made relative so that one severity means the same for every feature.
    """

    def __init__(
        self,
        *,
        modalities: Annotated[
            list[str] | None,
            Field(min_length=1, description="Modalities to corrupt; none named: all that hold real numbers."),
        ] = None,
    ) -> None:
        self.modalities = modalities
        self._scale: dict[str, Tensor] | None = None

    def fitted(self, dataset: Dataset) -> Gaussian:
        """A copy that holds the training scale of every feature.

        Raises:
            DataError: the dataset has no training rows.
        """
        from deconfound.nn.standardise import training_scale

        copy = Gaussian(modalities=self.modalities)
        copy._scale = {name: std for name, (_, std) in training_scale(dataset).items()}
        return copy

    def __call__(self, batch: Batch, severity: float, generator: torch.Generator) -> Batch:
        """See `Corruption`.

        Raises:
            SpecError: a negative severity, a named modality that is absent or holds tokens, or `fitted` was not called.
        """
        check_severity(severity)
        real = [
            name
            for name, signal in batch.signals.items()
            if signal.values.is_floating_point() and signal.values.ndim > 2
        ]
        names = chosen(self.modalities, batch, real)
        tokens = [name for name in names if name not in real]
        if tokens:
            raise SpecError(f"gaussian noise needs real numbers, {tokens[0]!r} holds tokens; name other modalities")
        if self._scale is None or not self._scale.keys() >= set(names):
            raise SpecError("gaussian noise needs the training scale of each modality; call fitted(dataset) first")
        if severity == 0:
            return batch
        generators = streams(generator, names)
        return batch.with_signals(
            {name: _noisy(batch.signals[name], severity * self._scale[name], generators[name]) for name in names}
        )


def _noisy(signal: Signal, scale: Tensor, generator: torch.Generator) -> Signal:
    """scale: broadcasts to F."""
    values = signal.values
    noise = torch.randn(values.shape, generator=generator, dtype=torch.float32).to(values)
    steps = signal.mask.reshape(*signal.mask.shape, *[1] * (values.ndim - 2))
    return Signal(torch.where(steps, values + scale.to(values) * noise, values), signal.mask)

"""Sequences that come too early or too late."""

from __future__ import annotations

import torch

from deconfound.corruption import Corruption, SequenceModalities, bernoulli, check_severity, chosen_sequences, streams
from deconfound.data.signal import Batch, Signal


class TimeShift(Corruption):
    """Moves the sequence of a modality by a random number of steps, forwards or backwards; what leaves is lost, and steps
    without content are absent. Severity is the largest shift as a share of the steps, from 0 to 1.

    A shift that is no whole number is rounded at random, so that its mean is exact. Source: misaligned sensors.
    """

    def __init__(self, *, modalities: SequenceModalities = None) -> None:
        self.modalities = modalities

    def __call__(self, batch: Batch, severity: float, generator: torch.Generator) -> Batch:
        """See `Corruption`.

        Raises:
            SpecError: a severity outside [0, 1], or a named modality that the batch does not have.
        """
        check_severity(severity, 1)
        names = chosen_sequences(self.modalities, batch)
        if severity == 0:
            return batch
        generators = streams(generator, names)
        return batch.with_signals({name: _shifted(batch.signals[name], severity, generators[name]) for name in names})


def _shifted(signal: Signal, severity: float, generator: torch.Generator) -> Signal:
    rows, steps = signal.mask.shape
    distance = torch.rand(rows, generator=generator) * severity * steps
    distance = (distance + torch.rand(rows, generator=generator)).floor().long()
    sign = 2 * bernoulli(0.5, (rows,), generator, distance.device).long() - 1
    source = (torch.arange(steps) - (sign * distance).unsqueeze(1)).to(signal.mask.device)  # (B, T)
    inside, place = (source >= 0) & (source < steps), source.clamp(0, steps - 1)
    row = torch.arange(rows, device=place.device).unsqueeze(1)
    mask = signal.mask & inside & signal.mask[row, place]
    return Signal(signal.values[row, place], torch.ones_like(mask)).keep(mask)

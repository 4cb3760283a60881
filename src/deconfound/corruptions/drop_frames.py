"""Frames lost one by one."""

from __future__ import annotations

import torch

from deconfound.corruption import Corruption, SequenceModalities, bernoulli, check_severity, chosen_sequences, streams
from deconfound.data.signal import Batch


class DropFrames(Corruption):
    """Makes every step absent with a probability, by itself; severity is that probability, from 0 to 1.

    Source: the random missing of frames (RMFM) of the missing-modality literature; absence is a mask here, not zeros.
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
        lost = {
            name: bernoulli(severity, batch.signals[name].mask.shape, generators[name], batch.signals[name].mask.device)
            for name in names
        }
        return batch.with_signals({name: batch.signals[name].keep(~lost[name]) for name in names})

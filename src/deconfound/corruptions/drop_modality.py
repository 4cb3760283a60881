"""Whole modalities lost."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from deconfound.corruption import Corruption, bernoulli, check_severity, chosen, streams
from deconfound.data.signal import Batch


class DropModality(Corruption):
    """Makes a modality absent in a row with a probability, row by row and modality by modality; severity is that
    probability, from 0 to 1, where 1 is absent everywhere. A row may lose all of them.

    Source: the random missing of modalities (RMM) of the missing-modality literature.
    """

    def __init__(
        self,
        *,
        modalities: Annotated[
            list[str] | None, Field(min_length=1, description="Modalities to lose; none named: all.")
        ] = None,
    ) -> None:
        self.modalities = modalities

    def __call__(self, batch: Batch, severity: float, generator: torch.Generator) -> Batch:
        """See `Corruption`.

        Raises:
            SpecError: a severity outside [0, 1], or a named modality that the batch does not have.
        """
        check_severity(severity, 1)
        names = chosen(self.modalities, batch, batch.signals)
        if severity == 0:
            return batch
        generators = streams(generator, names)
        lost = {name: bernoulli(severity, (len(batch), 1), generators[name], batch.ids.device) for name in names}
        return batch.with_signals({name: batch.signals[name].keep(~lost[name]) for name in names})

"""Your own corruption: a `Corruption` held to the public laws, then used in a `Scenario`.

Run it with: python examples/own_corruption.py
"""

from typing import Annotated

import torch
from pydantic import Field

import deconfound as dc
from deconfound.corruption import check_severity, chosen, streams
from deconfound.testing import check_corruption


class LoseSpan(dc.Corruption):
    """Makes one span of steps absent, at a random place in each row; severity is its share of the T steps, 0 to 1."""

    def __init__(
        self, *, modalities: Annotated[list[str] | None, Field(description="all sequences if none")] = None
    ) -> None:
        self.modalities = modalities

    def __call__(self, batch: dc.Batch, severity: float, generator: torch.Generator) -> dc.Batch:
        check_severity(severity, maximum=1)
        sequences = [name for name, signal in batch.signals.items() if signal.mask.shape[1] > 1]
        names = chosen(self.modalities, batch, sequences)
        if severity == 0:
            return batch
        generators = streams(generator, names)  # one per modality, so that one does not depend on the others
        return batch.with_signals({name: lose(batch.signals[name], severity, generators[name]) for name in names})


def lose(signal: dc.Signal, share: float, generator: torch.Generator) -> dc.Signal:
    """The signal without round(share · T) neighbouring steps of each row."""
    rows, steps = signal.mask.shape
    length = round(share * steps)
    start = torch.randint(steps - length + 1, (rows, 1), generator=generator)
    place = torch.arange(steps)
    lost = (place >= start) & (place < start + length)  # (B, T)
    return signal.keep(~lost.to(signal.mask.device))


check_corruption(LoseSpan())
data = dc.synthetic(rows=300, steps=8, modalities=2)
run = dc.fit(data, "erm", out="runs/span", train={"epochs": 5})
scenario = dc.Scenario("lose-span", "test-iid", corruption=LoseSpan(), severities=(0.0, 0.25, 0.5, 1.0), repeats=3)
records = dc.evaluate(run, [scenario], dataset=data)
print(records[records["metric"] == "mse"].groupby("severity")["value"].mean().round(3))

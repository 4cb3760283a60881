"""`noise-augmentation`: ERM on clean and noisy inputs, the control that a method with virtual noise has to beat."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconfound import Backbone, Batch, Loss, Method, Search, Signal


class NoiseAugmentation(Method):
    """Half of the risk is on the rows as they are, half on the same rows with Gaussian noise on their inputs."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        strength: Annotated[
            float, Field(ge=0, description="noise in training standard deviations"), Search(0.03, 2, log=True)
        ] = 0.5,
    ) -> None:
        super().__init__(backbone)
        self.strength = strength

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        signals = self.backbone.standardise(batch)
        features = self.backbone.encode_signals(signals)
        noisy = self.backbone.encode_signals({name: self._noisy(s, generator) for name, s in signals.items()})
        risk = self.backbone.task.risk
        output = self.backbone.predict(features, batch.present)
        clean_risks = risk(output, batch.target)
        noisy_risks = risk(self.backbone.predict(noisy, batch.present), batch.target)
        terms = {"clean": clean_risks.mean(), "noisy": noisy_risks.mean()}
        return Loss((terms["clean"] + terms["noisy"]) / 2, terms, clean_risks, features, output)

    def _noisy(self, signal: Signal, generator: torch.Generator) -> Signal:
        noise = torch.randn(signal.values.shape, generator=generator, device=generator.device).to(signal.values)
        return Signal(signal.values + self.strength * noise, signal.mask).keep(signal.mask)

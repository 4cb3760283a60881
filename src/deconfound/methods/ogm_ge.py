"""`ogm-ge`: on-the-fly gradient modulation with generalisation enhancement (Peng et al., CVPR 2022).

Empirical risk minimisation in which the encoder of a modality that is ahead learns more slowly, and the encoders'
gradients get noise of their own size.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss, Method, MethodHooks
from deconfound.nn.backbone import Backbone
from deconfound.nn.layers import module_key
from deconfound.nn.processes import common_generator, mean_over_processes, parted_like, whole
from deconfound.nn.unimodal import alone
from deconfound.objectives.averaging import confidence_in_truth
from deconfound.objectives.modulation import modulation
from deconfound.objectives.rows import row_mean
from deconfound.search import Search


class OGMGE(Method):
    """gradient of encoder u ← k_u · gradient + noise · std(gradient) · N(0, 1), with k_u of `objectives.modulation`.

    The score of a modality is the mean probability of the true class when it alone is shown to fusion and head, over the
    rows that have it. That is the paper's split of a linear layer on concatenated features, for any fusion; with `late`
    it is exact. In a regression the probability is exp(-risk), the risk in units of the target's variance (ours).
    All parameters of the encoders are modulated; the authors' code leaves out all but convolutions. With one modality
    nothing is slowed.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        alpha: Annotated[
            float, Field(gt=0, description="α: strength of the modulation"), Search(0.05, 2, log=True)
        ] = 0.3,
        noise: Annotated[
            float,
            Field(ge=0, description="standard deviations of each parameter's gradient; 0 is OGM without GE"),
        ] = 1.0,
        until: Annotated[float, Field(ge=0, le=1, description="share of the steps that are modulated")] = 0.5,
    ) -> None:
        super().__init__(backbone, hooks=MethodHooks(after_backward=self._modulate))
        self.alpha, self.noise, self.until = alpha, noise, until
        self._slowed: Tensor | None = None

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Monitors: `score/MODALITY` and `coefficient/MODALITY`, 1 where nothing is slowed."""
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        scores, present = self._scores(features, batch)
        active = progress < self.until
        slowed = modulation(scores, present, self.alpha) if active else torch.ones_like(scores)
        self._slowed = slowed if active else None
        monitors = {f"score/{name}": value for name, value in zip(features, scores, strict=True)}
        monitors |= {f"coefficient/{name}": value for name, value in zip(features, slowed, strict=True)}
        return Loss(risks.mean(), {"prediction": risks.mean()}, risks, features, output, monitors)

    @torch.no_grad()
    def _scores(self, features: dict[str, Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
        """(M,) score of each modality, and (M,) bool whether any row has it."""
        present = torch.stack([batch.present[name] for name in features])
        detached = {name: values.detach() for name, values in features.items()}
        outputs = alone(self.backbone, detached, batch.present).float()
        confidence = confidence_in_truth(self.backbone.task, outputs, batch.target)
        return mean_over_processes(row_mean(confidence, present)), mean_over_processes(present.any(1).float()) > 0

    @torch.no_grad()
    def _modulate(self, generator: torch.Generator) -> None:
        if self._slowed is None:
            return
        generator = common_generator(generator)
        for name, slowed in zip(self.backbone.modalities, self._slowed, strict=True):
            for parameter in self.backbone.encoders[module_key(name)].parameters():
                if parameter.grad is not None:
                    gradient = whole(parameter.grad)
                    shape = {"dtype": gradient.dtype, "device": gradient.device}
                    fresh = torch.randn(gradient.shape, generator=generator, **shape)
                    spread = self.noise * gradient.std(correction=0)
                    changed = slowed.to(gradient.dtype) * gradient + spread * fresh
                    parameter.grad = parted_like(changed, parameter.grad)

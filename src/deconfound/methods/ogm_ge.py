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
from deconfound.nn.unimodal import alone, summands
from deconfound.objectives.averaging import confidence_in_truth
from deconfound.objectives.modulation import modulation
from deconfound.search import Search


class OGMGE(Method):
    """gradient of encoder u ← k_u · gradient + noise · std(gradient) · N(0, 1), with k_u of `objectives.modulation`.

    The score of a modality is the mean over the rows that have it of the probability of the true class under its summand
    of the logits, `nn.unimodal.summands`: the paper's split of a linear layer on concatenated features, for any fusion. In a
    regression it is that of exp(-risk) of the prediction from the modality alone, the risk in units of the target's
    variance (ours). The views of a step count by their weights.
    All parameters of the encoders are modulated; the authors' code leaves out all but convolutions. With one modality
    nothing is slowed.
    """

    one_label, weighs_rows = True, True

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
        self._sums: Tensor | None = None

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Monitors: `score/MODALITY` and `coefficient/MODALITY`, 1 where nothing is slowed; both of this
        view of the rows.
        """
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        active, sums = progress < self.until, self._sum_confidence(features, output, batch)
        scores, present = _scores(sums)
        slowed = modulation(scores, present, self.alpha) if active else torch.ones_like(scores)
        if not active:
            self._sums = None
        elif batch.view.first or self._sums is None:
            self._sums = batch.view.weight * sums
        else:
            self._sums = self._sums + batch.view.weight * sums
        monitors = {f"score/{name}": value for name, value in zip(features, scores, strict=True)}
        monitors |= {f"coefficient/{name}": value for name, value in zip(features, slowed, strict=True)}
        total = batch.mean(risks)
        return Loss(total, {"prediction": total}, risks, features, output, monitors)

    @torch.no_grad()
    def _sum_confidence(self, features: dict[str, Tensor], output: Tensor, batch: Batch) -> Tensor:
        """(2, M): for each modality the sum of the confidences in the truth over the rows that have it, and their number."""
        present = torch.stack([batch.present[name] for name in features])
        task, detached = self.backbone.task, {name: values.detach() for name, values in features.items()}
        if task.kind == "regression":
            outputs = alone(self.backbone, detached, batch.present)
        else:
            outputs = summands(self.backbone, detached, batch.present, output.detach())
        confidence = confidence_in_truth(task, outputs.float(), batch.target).masked_fill(~present, 0)
        return mean_over_processes(torch.stack([confidence, present.to(confidence.dtype)]).sum(2))

    @torch.no_grad()
    def _modulate(self, generator: torch.Generator) -> None:
        if self._sums is None:
            return
        scores, present = _scores(self._sums)
        coefficients, self._sums = modulation(scores, present, self.alpha), None
        generator = common_generator(generator)
        for name, slowed in zip(self.backbone.modalities, coefficients, strict=True):
            for parameter in self.backbone.encoders[module_key(name)].parameters():
                if parameter.grad is not None:
                    gradient = whole(parameter.grad)
                    shape = {"dtype": gradient.dtype, "device": gradient.device}
                    fresh = torch.randn(gradient.shape, generator=generator, **shape)
                    spread = self.noise * gradient.std(correction=0)
                    changed = slowed.to(gradient.dtype) * gradient + spread * fresh
                    parameter.grad = parted_like(changed, parameter.grad)


def _scores(sums: Tensor) -> tuple[Tensor, Tensor]:
    """(2, M) sums → (M,) score of each modality, 0 without rows, and (M,) bool whether any row has it."""
    return sums[0] / sums[1].clamp(min=torch.finfo(sums.dtype).tiny), sums[1] > 0

"""`mmpareto`: gradients of the fused and of the unimodal predictions, joined so that neither is harmed (ICML 2024)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.signal import Batch
from deconfound.method import Loss, Method
from deconfound.nn.backbone import Backbone
from deconfound.nn.layers import module_key
from deconfound.nn.unimodal import UnimodalHeads
from deconfound.objectives.averaging import risks_of_each
from deconfound.objectives.pareto import pareto_coefficients
from deconfound.objectives.rows import risk_mean
from deconfound.search import Search


class MMPareto(Method):
    """L = ℓ(fused, y) + Σ_m ℓ(head_m(h_m), y), after Wei & Hu, ICML 2024; the fused prediction is the output.

    Encoder m gets a combination of the gradients g of ℓ(fused) and g_m of its own ℓ: γ (g + g_m) where they agree, and
    γ times the shortest vector between them, lengthened to |g + g_m|, where they conflict. Fusion and heads get their plain
    gradients. Conflict and length are judged over all parameters of an encoder together, so the inner product of the step
    with both gradients is never negative; the authors' code rescales each parameter by itself, which loses that.

    A term whose value is 0 and whose gradient is the difference makes the change, so penalties, augmentations and
    mixed precision work as with any loss. Costs a backward pass through the encoders for each of the two losses.
    """

    weighs_rows = True

    def __init__(
        self,
        backbone: Backbone,
        *,
        rescale: Annotated[
            float, Field(gt=0, description="γ: length of the encoders' steps"), Search(0.5, 4, log=True)
        ] = 1.5,
    ) -> None:
        super().__init__(backbone)
        self.rescale = rescale
        self.heads = UnimodalHeads(backbone)

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Terms: prediction, unimodal (summed over the modalities, each over the rows that have it).
        Monitors: `cosine/MODALITY` of the two gradients of its encoder.
        """
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        single = risks_of_each(self.backbone.task, self.heads(features), batch.target)
        terms = {
            "prediction": batch.mean(risks),
            "unimodal": risk_mean(single, self.heads.presence(batch.present), batch.weight).sum(),
        }
        turn, cosines = self._turn(terms["prediction"], terms["unimodal"])
        total = terms["prediction"] + terms["unimodal"] + turn
        return Loss(total, terms, risks, features, output, {f"cosine/{name}": value for name, value in cosines.items()})

    def _turn(self, fused: Tensor, single: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """() zero whose gradient turns that of the sum of both losses into the combination, and the cosines."""
        turn, cosines = fused.new_zeros(()), {}
        encoders = {
            name: [p for p in self.backbone.encoders[module_key(name)].parameters() if p.requires_grad]
            for name in self.backbone.modalities
        }
        parameters = [parameter for own in encoders.values() for parameter in own]
        if not parameters or not torch.is_grad_enabled():
            return turn, cosines
        both = [
            torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
            for loss in (fused, single)
        ]
        start = 0
        for name, own in encoders.items():
            if own:
                first, second = (gradients[start : start + len(own)] for gradients in both)
                start += len(own)
                a, b, cosines[name] = pareto_coefficients(first, second, self.rescale)
                for parameter, g, h in zip(own, first, second, strict=True):
                    product = (parameter * ((a - 1) * g + (b - 1) * h).detach()).sum()
                    turn = turn + product - product.detach()
        return turn, cosines

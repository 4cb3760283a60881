"""`pmr`: prototypical modal rebalance, classes drawn together in the features of the slow modality (CVPR 2023)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.data.quantile_edges import quantile_edges
from deconfound.data.signal import Batch
from deconfound.method import Loss, Method, MethodHooks, WarmUp
from deconfound.nn.backbone import Backbone
from deconfound.nn.collect_features import collect_features
from deconfound.objectives.modulation import slow_and_fast
from deconfound.objectives.prototypes import class_means, prototype_logits
from deconfound.objectives.rows import row_mean
from deconfound.search import Search


class _Prototypes(nn.Module):
    """(C, H) class means of one modality and (C,) which of them are known."""

    mean: Tensor
    known: Tensor

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(classes, width))
        self.register_buffer("known", torch.zeros(classes, dtype=torch.bool))

    def update(self, mean: Tensor, present: Tensor, momentum: float) -> None:
        """Take in new means of the present classes; a known class keeps the share `momentum` of its old mean."""
        share = momentum * self.known.to(mean.dtype).unsqueeze(1)
        self.mean.copy_(torch.where(present.unsqueeze(1), share * self.mean + (1 - share) * mean, self.mean))
        self.known.copy_(self.known | present)


class PMR(Method):
    """L = ℓ(fused, y) + α Σ_m slow_m · CE(-d(h_m, prototypes), y) - μ Σ_m fast_m · H_m, after Fan et al., CVPR 2023.

    slow_m and fast_m are those of `objectives.modulation.slow_and_fast`, from the probability that the prototypes of
    modality m give the true class; H_m is the entropy of that prediction. Prototypes are class means over at most
    4,096 training rows, taken before every epoch. Each modality counts the rows that have it.

    A regression has no classes: there the prototypes are those of `bins` equally likely intervals of the target. This
    reading is ours.
    """

    one_label, weighs_rows = True, True

    edges: Tensor

    def __init__(
        self,
        backbone: Backbone,
        *,
        alpha: Annotated[
            float, Field(ge=0, description="α: weight of the slow modalities' prototypes"), Search(0.1, 10, True)
        ] = 1.0,
        momentum: Annotated[float, Field(ge=0, lt=1, description="share of the old prototypes that is kept")] = 0.2,
        until: Annotated[float, Field(ge=0, le=1, description="share of the steps with prototype terms")] = 0.67,
        entropy: Annotated[
            float, Field(ge=0, description="μ: weight of the fast modalities' entropy"), Search(0.01, 1, True)
        ] = 0.1,
        entropy_until: Annotated[float, Field(ge=0, le=1, description="share of the steps with the entropy")] = 0.2,
        bins: Annotated[int, Field(ge=2, le=10_000, description="classes that a regression is cut into")] = 5,
    ) -> None:
        super().__init__(backbone, hooks=MethodHooks(on_epoch_start=self._update_prototypes, warm_up=self._warm_up))
        self.alpha, self.momentum, self.until = alpha, momentum, until
        self.entropy, self.entropy_until = entropy, entropy_until
        task = backbone.task
        classes = bins if task.kind == "regression" else task.outputs
        self.prototypes = nn.ModuleList([_Prototypes(classes, width) for width in backbone.widths.values()])
        self.register_buffer("edges", torch.zeros(classes - 1 if task.kind == "regression" else 0))

    def forward(self, batch: Batch) -> Tensor:
        return self.backbone.predict(self.backbone.encode(batch), batch.present)

    def labels(self, target: Tensor) -> Tensor:
        """(B,) int64 class, or interval of the target of a regression."""
        return torch.bucketize(target.float(), self.edges) if len(self.edges) else target

    def _warm_up(self) -> WarmUp:
        """The steps with the entropy, which holds fast modalities back."""
        return WarmUp(share=self.entropy_until if self.entropy > 0 else 0.0)

    def _update_prototypes(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        if len(self.edges):
            train = development.rows("train")
            targets = development.target[train.start : train.stop].double()
            self.edges.copy_(quantile_edges(targets, len(self.edges) + 1))
        rows = collect_features(self.backbone, development)
        labels = self.labels(rows.target)
        for name, part in zip(self.backbone.widths, self._parts(), strict=True):
            mean, present = class_means(rows.features[name], rows.present[name], labels, len(part.known))
            part.update(mean, present, self.momentum)

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`. Terms: prediction, prototypes (coefficients applied), entropy (of the fast modalities, minus it
        is minimised). Monitors: `score/MODALITY` and `slow/MODALITY`.
        """
        features = self.backbone.encode(batch)
        output = self.backbone.predict(features, batch.present)
        risks = self.backbone.task.risk(output, batch.target)
        labels = self.labels(batch.target)
        logits = [prototype_logits(features[n], p.mean, p.known) for n, p in zip(features, self._parts(), strict=True)]
        known = torch.stack([part.known[labels] & (part.known.sum() > 1) for part in self._parts()])
        counted = torch.stack([batch.present[name] for name in features]) & known  # (M, B)
        spread = torch.stack([modality.log_softmax(1) for modality in logits])  # (M, B, C)
        truth = spread[:, torch.arange(len(labels)), labels].masked_fill(~counted, 0)
        scores = row_mean(truth.detach().exp(), counted)
        slow, fast = slow_and_fast(scores, counted.any(1))
        uncertain = -(spread.exp() * spread.clamp(min=-1e4)).sum(2).masked_fill(~counted, 0)
        terms = {
            "prediction": batch.mean(risks),
            "prototypes": (slow * row_mean(-truth, counted)).sum(),
            "entropy": (fast * row_mean(uncertain, counted)).sum(),
        }
        alpha = self.alpha if progress < self.until else 0.0
        mu = self.entropy if progress < self.entropy_until else 0.0
        total = terms["prediction"] + alpha * terms["prototypes"] - mu * terms["entropy"]
        monitors = {f"score/{name}": value for name, value in zip(features, scores, strict=True)}
        monitors |= {f"slow/{name}": value for name, value in zip(features, slow, strict=True)}
        return Loss(total, terms, risks, features, output, monitors)

    def _parts(self) -> list[_Prototypes]:
        return [part for part in self.prototypes if isinstance(part, _Prototypes)]

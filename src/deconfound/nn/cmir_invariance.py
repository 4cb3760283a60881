"""R_inv of `cmir`: what is compared between the environments, and in which unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from deconfound.data.signal import Batch
from deconfound.nn.backbone import Backbone
from deconfound.nn.cmir_arguments import Distance, Source
from deconfound.nn.collect_features import label_bins
from deconfound.nn.disentangle import Parts
from deconfound.nn.environments import Environments
from deconfound.objectives.averaging import risks_of_each
from deconfound.objectives.conditional import conditional_distance
from deconfound.objectives.invariance import divergence, invariance
from deconfound.objectives.reconstruction import Reduction
from deconfound.objectives.rows import row_mean

Predict = Callable[[Mapping[str, Tensor]], Tensor]
"""{(V, B, dim)} parts → (V, B, outputs)."""


class Invariance(nn.Module):
    """The distance of the views of a row, summed over the modalities.

    The mean is in units of the noise of one environment: it is divided by `Environments.mean_gap`, so that for linear maps
    neither K nor the choice of pairs changes its expectation.

    Args:
        backbone: of the invariant parts.
        names: of the M modalities, in the order of the parts.
        distance: between the parts, between the predictions of all modalities together ("kl") or between those of one
            predictor per modality ("unimodal"), which the risk of its modality alone trains. Between predictions it is the
            divergence of class probabilities, summed over several labels of a row; for numbers the absolute ("unimodal")
            or squared ("kl") difference.
    """

    def __init__(
        self,
        backbone: Backbone,
        names: Sequence[str],
        source: Source,
        environments: Environments,
        distance: Distance,
        reduction: Reduction,
    ) -> None:
        super().__init__()
        self.task, self.source = backbone.task, source
        self.distance: Distance = distance
        self.reduction: Reduction = reduction
        self.first = 0 if environments.with_clean else 1
        quadratic = distance in ("l2", "cosine", "kl") or (distance == "unimodal" and self.task.kind != "regression")
        self.unit = 1.0 if reduction == "sum" else environments.mean_gap(2 if quadratic else 1)
        self.heads = nn.ModuleList(backbone.new_head(backbone.widths[name]) for name in names if distance == "unimodal")

    def forward(
        self, groups: Sequence[Parts], parts: Mapping[str, Tensor], batch: Batch, predict: Predict
    ) -> dict[str, Tensor]:
        """The term "invariance", and with "unimodal" the risk of the predictors of that name.

        Args:
            groups: of all M modalities.
            parts: {(1 + V, B, dim)}, the same by modality.
            predict: the prediction from parts of all modalities.
        """
        if self.source == "given":
            return {"invariance": torch.cat([self._moved(group, batch) for group in groups]).sum()}
        if self.distance == "kl":
            outputs = predict(parts)[self.first :]
            return {"invariance": self._between(outputs, torch.stack([batch.present[n] for n in parts]).any(0))}
        if self.distance == "unimodal":
            return self._unimodal(parts, batch)
        terms = [
            invariance(group.invariant[:, self.first :].movedim(1, 0), group.present, self.distance, self.reduction)
            for group in groups
        ]
        return {"invariance": torch.cat(terms).sum() / self.unit}

    def _moved(self, group: Parts, batch: Batch) -> Tensor:
        assert self.distance not in ("kl", "unimodal")
        bins = label_bins(self.task, batch.target)
        return conditional_distance(group.invariant[:, 0], group.present, batch.env, bins, self.distance)

    def _unimodal(self, parts: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        terms, risks = [], []
        for head, (name, part) in zip(self.heads, parts.items(), strict=True):
            outputs, present = head(part), batch.present[name]
            terms.append(self._between(outputs[self.first :], present))
            risks.append(row_mean(risks_of_each(self.task, outputs[:1], batch.target)[0], present))
        return {"invariance": torch.stack(terms).sum(), "unimodal": torch.stack(risks).sum()}

    def _between(self, outputs: Tensor, present: Tensor) -> Tensor:
        """() the distance of (V, B, outputs) predictions in the (B,) present rows."""
        if self.task.kind == "classification":
            return divergence(outputs, present, self.reduction) / self.unit
        if self.task.kind == "multilabel":  # labels that are independent given the row: their divergences add up
            of_label = torch.stack([torch.zeros_like(outputs), outputs], -1).movedim(2, 1)  # (V, L, B, 2)
            return divergence(of_label, present.expand(of_label.shape[1:3]), self.reduction).sum() / self.unit
        distance = "l1" if self.distance == "unimodal" else "l2"
        return invariance(outputs, present, distance, self.reduction) / self.unit

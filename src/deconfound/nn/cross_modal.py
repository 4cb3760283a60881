"""Alignment of the invariant parts of one row across modalities, where the data allow it (methods 2.6, "XM")."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import isnan

import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.nn.backbone import Backbone
from deconfound.nn.collect_features import collect_features
from deconfound.objectives.alignment import instance_alignment
from deconfound.objectives.canonical import FEWEST, label_columns, residual_correlation


class CrossModal(nn.Module):
    """InfoNCE between the invariant parts of the pairs of modalities that share something beyond the label.

    Such an alignment keeps the content that modalities share. That is the causal part if causes are shared and
    shortcuts are private to one modality, and the wrong part otherwise. So a pair is aligned only if its canonical
    correlation, after the label and the environment are regressed out, reaches `needed` on held-out training rows.

    Args:
        names: of the M modalities, in the order of the stacked parts.
        temperature: τ.
        needed: correlation from which a pair is aligned.
    """

    correlation: Tensor
    measured: Tensor

    def __init__(self, names: Sequence[str], temperature: float, needed: float) -> None:
        super().__init__()
        self.names, self.temperature, self.needed = tuple(names), temperature, needed
        self.pairs = list(combinations(range(len(self.names)), 2))
        self.register_buffer("correlation", torch.zeros(len(self.pairs)))
        self.register_buffer("measured", torch.zeros((), dtype=torch.bool))

    @property
    def aligned(self) -> list[tuple[int, int]]:
        """The pairs that are aligned; none before `measure`."""
        enough = (self.correlation.nan_to_num() >= self.needed) & self.measured
        return [pair for pair, flag in zip(self.pairs, enough.tolist(), strict=True) if flag]

    @torch.no_grad()
    def measure(self, backbone: Backbone, development: Dataset, generator: torch.Generator) -> None:
        """Measure every pair on the standardised inputs of the training rows that have both.

        A pair with tokens, or with too few such rows, has no number and counts as 0.
        """
        rows = collect_features(backbone, development, "inputs")
        label = label_columns(rows.target, rows.env, backbone.task.kind == "classification")
        correlations = []
        for a, b in ((self.names[i], self.names[j]) for i, j in self.pairs):
            both = rows.present[a] & rows.present[b]
            if a not in rows.features or b not in rows.features or int(both.sum()) < FEWEST:
                correlations.append(torch.nan)
                continue
            first, second = rows.features[a][both], rows.features[b][both]
            correlations.append(residual_correlation(first, second, label[both], generator))
        self.correlation.copy_(torch.tensor(correlations))
        self.measured.fill_(True)

    def forward(self, parts: Tensor, present: Tensor) -> Tensor:
        """(M, B, D) invariant parts and (M, B) bool → () mean over the aligned pairs; 0 without one."""
        pairs = self.aligned
        total = [instance_alignment(parts[i], parts[j], present[i] & present[j], self.temperature) for i, j in pairs]
        return torch.stack(total).mean() if total else parts.new_zeros(())

    def summary_lines(self) -> tuple[str, ...]:
        """Sentences about the measured correlations and the decision."""
        if not self.measured:
            return ()
        pairs = ", ".join(
            f"{self.names[i]}-{self.names[j]} " + ("not measurable" if isnan(value) else f"{value:.2f}")
            for (i, j), value in zip(self.pairs, self.correlation.tolist(), strict=True)
        )
        result = f"canonical correlation of modalities beyond label and environment: {pairs}"
        if self.aligned:
            return (f"{result}; pairs from {self.needed:g} are aligned",)
        return (f"{result}; none reaches {self.needed:g}, so nothing is aligned and the method is plain cmir",)

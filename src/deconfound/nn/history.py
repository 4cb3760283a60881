"""Loss history of the training rows: the mean loss of each modality over the visits to a row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from deconfound.objectives.rows import full_precision


class LossHistory(nn.Module):
    """Mean loss per modality and training row, as a share of the range over all rows.

    The table has one column per training row, so its size is known when training begins: `grow` sets it, and loading a
    state takes the size of the saved table. Until then it is empty and only the present losses count. Where several
    processes train together the engine copies the buffers of the first one to all before each step, so a process knows
    the rows that the first one saw and those of its own batch.

    Args:
        modalities: M.
    """

    total: Tensor
    count: Tensor

    def __init__(self, modalities: int) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(modalities, 0))
        self.register_buffer("count", torch.zeros(modalities, 0))

    def grow(self, rows: int) -> None:
        """An empty table of so many rows, unless it has that size already."""
        if self.total.shape[1] != rows:
            self.total = self.total.new_zeros(len(self.total), rows)
            self.count = self.count.new_zeros(len(self.count), rows)

    @torch.no_grad()
    def forward(self, ids: Tensor, losses: Tensor, present: Tensor, weight: float = 1.0) -> Tensor:
        """Rank of each row by its mean loss after this batch; in training mode the table is updated.

        Args:
            ids: (B,) int64 row numbers; rows beyond the table have no history but this batch.
            losses: (M, B) non-negative.
            present: (M, B) bool; where False, nothing is learned.
            weight: of this view of the rows in the step, in [0, 1]; the weights of all views of a visit sum to 1.

        Returns:
            (M, B) in [0, 1]: 0 for the lowest mean loss of the modality over all rows seen, 1 for the highest.
        """
        losses = losses.detach().to(self.total.dtype).masked_fill(~present, 0)
        known = ids < self.total.shape[1]
        place, visits = ids[known], present[:, known].to(self.total.dtype)
        total = self.total.index_add(1, place, losses[:, known], alpha=weight)
        count = self.count.index_add(1, place, visits, alpha=weight)
        if self.training:
            self.total, self.count = total, count
        means = total / count.clamp(min=torch.finfo(count.dtype).tiny)
        mean = losses.clone()
        mean[:, known] = torch.where(count[:, place] > 0, means[:, place], losses[:, known])
        means = torch.cat([means, mean], 1)
        seen = torch.cat([count > 0, present], 1)
        low = means.masked_fill(~seen, torch.inf).amin(1, keepdim=True)
        high = means.masked_fill(~seen, -torch.inf).amax(1, keepdim=True)
        spread = high - low
        return torch.where(spread > 0, (mean - low) / spread, 0).clamp(0, 1)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        saved = state_dict.get(f"{prefix}total")
        if isinstance(saved, Tensor) and saved.ndim == 2 and len(saved) == len(self.total):
            self.grow(saved.shape[1])
        rest = (local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        super()._load_from_state_dict(state_dict, prefix, *rest)


@full_precision
def rank_risk(confidence: Tensor, history: Tensor, present: Tensor, margin: float) -> Tensor:
    """Hinge loss that asks rows with a higher loss for a lower confidence (Zhang et al., ICML 2023).

    Each row is compared with the next one of the batch: max(0, sign(κ_i - κ_j)(w_i - w_j) + margin · |κ_i - κ_j|).

    Args:
        confidence: (M, B) w.
        history: (M, B) κ.
        present: (M, B) bool; pairs in which either is absent do not count.
        margin: 1 asks for a distance that grows with that of the losses, as in correctness ranking (Moon et al., ICML
            2020), where the term comes from; -1 tolerates one, as the authors' code does.

    Returns:
        (M,) mean over the pairs, 0 without any.
    """
    ahead, later = torch.roll(confidence, -1, 1), torch.roll(history, -1, 1)
    pair = present & torch.roll(present, -1, 1)
    gap = history - later
    risk = torch.relu(gap.sign() * (confidence - ahead) + margin * gap.abs()) * (gap != 0)
    return (risk * pair).sum(1) / pair.sum(1).clamp(min=1)

"""`Memory`: a bounded queue of features of earlier rows, the pool from which x' is drawn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Memory(nn.Module):
    """First in, first out: the last Q rows that were pushed, in buffers, so that a checkpoint holds them exactly.

    Where several processes train together the engine copies the buffers of the first one to all.

    Args:
        size: Q.
        width: W, the width of all modalities' features side by side.
        modalities: M.
    """

    values: Tensor
    present: Tensor
    pushed: Tensor

    def __init__(self, size: int, width: int, modalities: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("values", torch.zeros(size, width))
        self.register_buffer("present", torch.zeros(size, modalities, dtype=torch.bool))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, values: Tensor, present: Tensor) -> None:
        """Take in (B, W) features and (B, M) bool presence; of more than Q rows the last Q."""
        kept = min(len(values), self.size)
        first = self.pushed + len(values) - kept
        places = (first + torch.arange(kept, device=first.device)) % self.size
        self.values.index_copy_(0, places, values[-kept:].detach().to(self.values.dtype))
        self.present.index_copy_(0, places, present[-kept:])
        self.pushed.add_(len(values))

    def draw(self, count: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """J entries: at random with replacement, or evenly spaced without a generator.

        Returns:
            (J, W) features and (J, M) bool presence; all absent as long as nothing was pushed.
        """
        device = self.values.device
        filled = self.pushed.clamp(max=self.size)
        if generator is None:
            share = (torch.arange(count, device=device) + 0.5) / count
        else:
            share = torch.rand(count, generator=generator, device=device)
        places = torch.minimum((share * filled).long(), (filled - 1).clamp(min=0))
        return self.values.index_select(0, places), self.present.index_select(0, places)

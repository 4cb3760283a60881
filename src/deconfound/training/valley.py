"""`Valley`: the mean of the weights over the valley of the validation risk (SWAD)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CONVERGED, TOLERATED, RATIO = 3, 6, 0.3
"""The constants of the paper: segments that tell the start, segments above the limit that tell the end, and the limit."""


class Valley(nn.Module):
    """The mean over segments of training from the first low of the validation risk until it has risen for good.

    A segment is an epoch: the mean of the weights after its steps, and the validation risk at its end. The valley begins with
    the first segment whose risk is the lowest of itself and the next two; the limit is 1.3 times the mean risk of these
    three. It ends with the last segment within the limit, once six in a row are above it. Until it has begun, the mean is
    that of the latest segment. Source: Cha et al., SWAD: Domain Generalization by Seeking Flat Minima, NeurIPS 2021; there
    a segment is a number of steps, and the first one counts twice.

    Args:
        size: P, the number of weights.
    """

    queue: Tensor
    risks: Tensor
    seen: Tensor
    limit: Tensor
    mean: Tensor
    weight: Tensor
    waiting: Tensor
    waits: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("queue", torch.zeros(CONVERGED, size))
        self.register_buffer("risks", torch.full((CONVERGED,), torch.inf, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("limit", torch.full((), -1.0, dtype=torch.float64))  # negative until the valley begins
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("weight", torch.zeros((), dtype=torch.int64))
        self.register_buffer("waiting", torch.zeros(size))
        self.register_buffer("waits", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def add(self, weights: Tensor, risk: float) -> None:
        """Take in the next segment: (P,) mean weights, and the validation risk at its end."""
        self.seen += 1
        if float(self.limit) >= 0:
            self._continue(weights, risk)
            return
        self.queue.copy_(torch.cat([self.queue[1:], weights[None]]))
        self.risks.copy_(torch.cat([self.risks[1:], self.risks.new_tensor([risk])]))
        self.mean.copy_(weights)
        if int(self.seen) >= CONVERGED and int(self.risks.argmin()) == 0:
            self.limit.copy_((1 + RATIO) * self.risks.mean())
            self.mean.copy_(self.queue[0])
            self.weight.fill_(1)
            for place in range(1, CONVERGED):
                self._continue(self.queue[place], float(self.risks[place]))

    def _continue(self, weights: Tensor, risk: float) -> None:
        if int(self.waits) >= TOLERATED:  # the valley has ended
            return
        self.waiting += weights
        self.waits += 1
        if risk <= float(self.limit):
            total = self.weight + self.waits
            self.mean += (self.waiting - self.waits * self.mean) / total
            self.weight.copy_(total)
            self.waiting.zero_()
            self.waits.zero_()

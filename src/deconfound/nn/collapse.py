"""A watch on representations that shrink to a constant, the trivial solution of an invariance penalty."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from deconfound.data.signal import WHOLE, View
from deconfound.objectives.rows import row_moments

EARLY = 10
"""First training steps, whose mean spread is the reference."""

EVERY = 20
"""Training steps between two checks; each check waits for the device."""

SHARE = 0.01
"""Share of the early spread below which a representation counts as collapsed."""


class CollapseWarning(RuntimeWarning):
    """A representation has become constant: it no longer tells rows apart."""


class CollapseWatch(nn.Module):
    """Warns once when the spread of a modality's representation falls below 1 % of its mean over the first 10 steps."""

    reference: Tensor
    steps: Tensor
    calls: Tensor
    warned: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("reference", torch.zeros(len(self.names)))
        self.register_buffer("steps", torch.zeros(len(self.names)))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("warned", torch.zeros((), dtype=torch.bool))
        self._calls, self._warned = 0, False  # copies, since reading a buffer waits for the device
        self.register_load_state_dict_post_hook(_restore)

    @torch.no_grad()
    def forward(self, parts: Sequence[tuple[Tensor, Tensor]], view: View = WHOLE) -> Tensor:
        """Standard deviation over the present rows, mean over the dimensions: (G, B, D) and (G, B) bool of each width → (M,).

        In training mode it also keeps the reference, in which a view of a step counts by its weight, and warns; rows in which
        a modality is absent do not count, nor do batches with fewer than two present rows.
        """
        spread = torch.cat([row_moments(*part)[2].sqrt().mean((1, 2)) for part in parts])
        present = torch.cat([present for _, present in parts])
        if self.training and view.weight > 0:
            enough = present.sum(1) > 1
            share = view.weight * enough * (self.steps < EARLY) / (self.steps + view.weight)
            self.reference.add_(share * (spread - self.reference))
            self.steps.add_(view.weight * enough)
            self.calls.add_(view.first)
            self._calls += view.first
            if view.first and self._calls % EVERY == 0 and not self._warned:
                self._warn(enough & (self.steps > EARLY) & (spread < SHARE * self.reference))
        return spread

    def _warn(self, collapsed: Tensor) -> None:
        names = [name for name, flag in zip(self.names, collapsed.tolist(), strict=True) if flag]
        if names:
            self._warned = True
            self.warned.fill_(True)
            warnings.warn(
                f"the invariant representation of {', '.join(names)} fell below {SHARE:.0%} of its early spread: "
                "lower 'invariance' or 'strength', or lengthen 'ramp'",
                CollapseWarning,
                stacklevel=3,
            )


def _restore(watch: CollapseWatch, _keys: object) -> None:
    """Restore the copies from a checkpoint, so that a resumed run checks and warns where an uninterrupted one does."""
    watch._calls, watch._warned = int(watch.calls), bool(watch.warned)

"""Predictions of a model with front-door heads: the task's own, interventional ones, and their mixture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deconfound.data.task import Task
from deconfound.nn.front_door import Averaging, Features, Form, FrontDoor, Pool
from deconfound.nn.layers import module_key
from deconfound.nn.memory import Memory
from deconfound.objectives.front_door import blend, mixture

PREDICTIONS = ("task", "do", "avg", "z-only")
"""Names of the predictions, see `InterventionOutputs.named`."""


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """B rows after the encoders.

    Args:
        features: modality → (B, H_m), 0 where absent.
        present: modality → (B,) bool.
        z: modality → (B, dim), meaningless where absent.
        task: (B, outputs) prediction of the wrapped fusion.
    """

    features: Features
    present: Features
    z: Features
    task: Tensor


@dataclass(frozen=True, eq=False)
class ModalityOutputs:
    """Predictions with one modality as the predominant one.

    Args:
        name: the modality.
        do, direct: (B, outputs).
        formed: (B,) bool, rows for which `do` can be formed.
    """

    name: str
    do: Tensor
    formed: Tensor
    direct: Tensor


@dataclass(frozen=True, eq=False)
class InterventionOutputs:
    """Predictions of all modalities that act as predominant, joined by their shares.

    Args:
        parts: one per modality that acts as predominant.
        task: (B, outputs) prediction of the wrapped fusion.
        do, direct: (B, outputs), the task's prediction where none can be formed.
        formed: (B,) bool, rows with an interventional prediction: one can be formed, and `accompanied`.
        classification: whether the outputs are logits.
    """

    parts: tuple[ModalityOutputs, ...]
    task: Tensor
    do: Tensor
    direct: Tensor
    formed: Tensor
    classification: bool

    def named(self, name: str, mix: float) -> Tensor:
        """(B, outputs) logits or predictions of one of `PREDICTIONS`; `mix` is η of "avg"."""
        if name != "avg":
            return {"task": self.task, "do": self.do, "z-only": self.direct}[name]
        mixed = blend(self.task, self.do, mix, self.classification)
        return torch.where(self.formed.unsqueeze(1), mixed, self.task)

    def with_shares(self, shares: Mapping[str, float]) -> Iterator[tuple[ModalityOutputs, float]]:
        """Every part with its share."""
        return ((part, shares[part.name]) for part in self.parts)


def accompanied(rows: EncodedRows, name: str) -> Tensor:
    """(B,) bool: rows that have the modality and another one. f hardly saw rows without, and would guess there."""
    others = [present for other, present in rows.present.items() if other != name]
    return rows.present[name] & torch.stack(others).any(0)


class Interventions(nn.Module):
    """One front-door head per modality that may be predominant, and the bank from which they draw x'.

    In e2e training f sees draws and all gradients flow. In plug training everything that f sees is detached and x' is
    the row's own: f1 fits the label from z and a, f2 fits the residual of f1, and x' is averaged out at inference alone. f1
    and f2 learn side by side, f2 always against the current f1, detached; once f1 is stable that equals one after the other.

    Args:
        names: modalities that may be predominant.
        widths: modality → H_m.
        inner: width of z and of hidden layers.
        sizes: rows of the bank, draws in training, draws at inference, centres of the dictionary (0 without).
        mix: η, the share of "do" in "avg".
    """

    def __init__(
        self,
        names: Mapping[str, float],
        widths: Mapping[str, int],
        inner: tuple[int, int],
        task: Task,
        how: Averaging,
        *,
        form: Form,
        plug: bool,
        sizes: tuple[int, int, int, int],
        mix: float,
    ) -> None:
        super().__init__()
        bank, self.draws, self.draws_eval, centres = sizes
        self.widths, self.how, self.plug, self.mix = dict(widths), how, plug, mix
        options = {"form": form, "plug": plug, "centres": centres}
        self.doors = nn.ModuleDict(
            {module_key(name): FrontDoor(name, widths, *inner, task.outputs, **options) for name in names}
        )
        self.bank = Memory(bank, sum(widths.values()), len(widths))

    def remember(self, rows: EncodedRows, chosen: Tensor) -> None:
        """Push the rows with the (R,) numbers `chosen` into the bank; none with R = 0."""
        if len(chosen):
            chosen = chosen.to(self.bank.values.device)
            joined = torch.cat([rows.features[name].index_select(0, chosen) for name in self.widths], 1)
            present = torch.stack([rows.present[name].index_select(0, chosen) for name in self.widths], 1)
            self.bank.push(joined, present)

    def pool(self, generator: torch.Generator | None, count: int) -> Pool:
        """Draws from the bank, see `Memory.draw`."""
        values, present = self.bank.draw(count, generator)
        return self._split(values, present)

    def _split(self, values: Tensor, present: Tensor) -> Pool:
        parts = values.split(list(self.widths.values()), 1)
        return Pool(dict(zip(self.widths, parts, strict=True)), dict(zip(self.widths, present.unbind(1), strict=True)))

    def forward(
        self, rows: EncodedRows, shares: Mapping[str, float], generator: torch.Generator | None, *, training: bool
    ) -> InterventionOutputs:
        """Predict B rows.

        Args:
            shares: modality that acts as predominant → its share.
            generator: source of the draws; None for evenly spaced ones.
            training: outputs for the loss; in plug training they need no draws.
        """
        count = self.draws_eval if generator is None else self.draws
        pool = None if training and self.plug else self.pool(generator, count)
        parts = tuple(self._outputs(self.doors[module_key(name)], rows, pool) for name in shares)
        weights = torch.stack(
            [
                share * (part.formed & accompanied(rows, part.name)).float()
                for part, share in zip(parts, shares.values(), strict=True)
            ],
            1,
        )
        own = torch.stack([share * accompanied(rows, name).float() for name, share in shares.items()], 1)  # (B, parts)
        do = self._joined([part.do for part in parts], weights, rows.task)
        direct = self._joined([part.direct for part in parts], own, rows.task)
        formed = weights.sum(1) > 0
        return InterventionOutputs(parts, rows.task, do, direct, formed, self.how.classification)

    def _outputs(self, door: nn.Module, rows: EncodedRows, pool: Pool | None) -> ModalityOutputs:
        assert isinstance(door, FrontDoor)
        detached = {name: values.detach() for name, values in rows.features.items()}
        z, name = rows.z[door.name], door.name
        a = door.join(detached, rows.present)
        direct = door.direct(z.detach(), a)
        if pool is None:
            return ModalityOutputs(name, door.outcome(z.detach(), detached[name], a), rows.present[name], direct)
        features = detached if self.plug else rows.features
        z = z.detach() if self.plug else z
        do, formed = door.average(z, features, rows.present, pool, self.how)
        return ModalityOutputs(name, do, formed, direct)

    def _joined(self, outputs: list[Tensor], weights: Tensor, task: Tensor) -> Tensor:
        """(B, outputs) by (B, parts) weights; the task's prediction where all are 0."""
        total = weights.sum(1, keepdim=True)
        if len(outputs) == 1:
            return torch.where(total > 0, outputs[0], task)
        joined = mixture(torch.stack(outputs, 1), weights / total.clamp(min=1e-12), self.how.classification)
        return torch.where(total > 0, joined, task)

    def zero_loss(self, shares: Mapping[str, float]) -> Tensor:
        """() zero that depends on the idle heads: processes that train together need a gradient for each parameter."""
        idle = [door for name, door in self.doors.items() if name not in map(module_key, shares)]
        total = self.bank.values.new_zeros(())
        return sum((p.sum() * 0 for door in idle for p in door.parameters()), total)

    def summarise(self, generator: torch.Generator) -> None:
        """Compute the dictionaries from the bank, for heads that have one."""
        values, present = self.bank.values, self.bank.present
        known = self._split(values, present)
        for door in self.doors.values():
            assert isinstance(door, FrontDoor)
            if hasattr(door, "mass"):
                door.summarise(known.features[door.name][known.present[door.name]], generator)

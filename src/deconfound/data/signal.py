"""`Signal` and `Batch`, the inputs of every method.

Symbols in all docstrings: B rows, T steps, D features, M modalities, E environments, K virtual environments, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from deconfound.errors import DataError


@dataclass(frozen=True, eq=False)
class Signal:
    """One modality of B rows: values and which of their steps exist.

    The mask is False for a missing modality, a padded step and a dropped frame alike. A static vector has T = 1.

    Args:
        values: (B, T, *F) floats, or (B, T) integer tokens; 0 wherever the mask is False.
        mask: (B, T) bool; a row of False is an absent modality.

    Raises:
        DataError: the mask is not boolean or its shape is not the first two axes of the values.
    """

    values: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        if self.mask.dtype != torch.bool:
            raise DataError(f"a mask holds booleans; got {self.mask.dtype}")
        if self.mask.ndim != 2 or self.values.shape[:2] != self.mask.shape:
            raise DataError(
                f"values (B, T, *F) and mask (B, T) must agree; "
                f"got {tuple(self.values.shape)} and {tuple(self.mask.shape)}"
            )

    def __len__(self) -> int:
        return self.mask.shape[0]

    @property
    def present(self) -> Tensor:
        """(B,) bool: rows in which at least one step exists."""
        return self.mask.any(dim=1)

    def keep(self, steps: Tensor) -> Signal:
        """A new signal without the steps where `steps` (broadcast to (B, T), bool) is False; their values become 0."""
        mask = self.mask & steps
        gone = ~mask.reshape(*mask.shape, *[1] * (self.values.ndim - 2))
        return Signal(self.values.masked_fill(gone, 0), mask)

    def select(self, rows: Tensor) -> Signal:
        """The rows with the numbers in an (R,) integer tensor, in that order."""
        return Signal(self.values.index_select(0, rows), self.mask.index_select(0, rows))

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Signal:
        """The same rows on a device; `non_blocking` as in `Tensor.to`."""
        return Signal(
            self.values.to(device, non_blocking=non_blocking), self.mask.to(device, non_blocking=non_blocking)
        )


@dataclass(frozen=True, eq=False)
class GroupMoments:
    """Mean and variance of one modality over the existing steps of groups of rows, to scale each row by its own group.

    Args:
        rows: (B,) float number of rows of the group that have the modality; 0 for a row without a group.
        mean, var: (B, *S) floats, where S is `scale_shape` of the modality; the variance divides by n.
    """

    rows: Tensor
    mean: Tensor
    var: Tensor

    def select(self, numbers: Tensor) -> GroupMoments:
        """The entries with the numbers in an (R,) integer tensor, in that order."""
        return GroupMoments(*(part.index_select(0, numbers) for part in (self.rows, self.mean, self.var)))

    def to(self, device: torch.device | str, non_blocking: bool = False) -> GroupMoments:
        """The same entries on a device."""
        return GroupMoments(*(part.to(device, non_blocking=non_blocking) for part in (self.rows, self.mean, self.var)))


@dataclass(frozen=True)
class View:
    """The place of one view of some rows among the views whose weighted losses make one step.

    Args:
        start: sum of the weights of the views before it, in [0, 1].
        weight: of its loss, in [0, 1]; the weights of all views of a step sum to 1.
    """

    start: float = 0.0
    weight: float = 1.0

    def part(self, start: float, weight: float) -> View:
        """A view of this view: both numbers are shares of it."""
        return View(self.start + self.weight * start, self.weight * weight)

    @property
    def first(self) -> bool:
        """Whether the step begins with this view."""
        return self.start == 0 and self.weight > 0

    def rows(self, count: int) -> Tensor:
        """(R,) int64, on the CPU: the rows of a batch of `count` that this view stands for, where a row may count only once.

        Each row belongs to one view of the step, and a view has the share `weight` of any run of rows: multiples of the
        golden ratio modulo 1 spread evenly over [0, 1), and a row goes to the view whose part holds its number.
        """
        number = (torch.arange(1, count + 1, dtype=torch.float64) * _GOLDEN) % 1
        return torch.nonzero((number >= self.start) & (number < self.start + self.weight)).squeeze(1)


WHOLE = View()
"""The one view of a step without augmentation."""

_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, eq=False)
class Batch:
    """B rows of all modalities with their targets.

    Args:
        signals: modality name → `Signal`, all with B rows.
        target: (B,) float32 for regression, (B,) int64 class numbers for classification, (B, L) float32 of 0 and 1 for
            multilabel.
        ids: (B,) int64 row numbers in the dataset the rows came from.
        env: (B,) int64 environment numbers, 0 where the dataset declares no environment.
        weight: (B,) float32 of at least 0, by which the risks of the rows count; their mean over all training rows is 1. None
            where all count alike.
        view: place among the views of these rows in one step of training. A method that keeps something of the batches it
            has seen takes in each by `view.weight`, or only the rows that `view.rows` names.
        own: modality → moments of the group of each row, where inputs are scaled per group. They are those of the clean rows:
            a corruption of the signals leaves them as they are.

    Raises:
        DataError: the parts do not have the same number of rows, or there is no modality.
    """

    signals: Mapping[str, Signal]
    target: Tensor
    ids: Tensor
    env: Tensor
    weight: Tensor | None = field(default=None, kw_only=True)
    view: View = field(default=WHOLE, kw_only=True)
    own: Mapping[str, GroupMoments] = field(default_factory=dict[str, GroupMoments], kw_only=True)

    def __post_init__(self) -> None:
        sizes = {name: len(signal) for name, signal in self.signals.items()}
        sizes |= {"target": len(self.target), "ids": len(self.ids), "env": len(self.env)}
        sizes |= {} if self.weight is None else {"weight": len(self.weight)}
        if not self.signals or len(set(sizes.values())) != 1:
            raise DataError(f"a batch needs a modality, and all parts need the same number of rows; got {sizes}")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def present(self) -> dict[str, Tensor]:
        """Modality name → (B,) bool."""
        return {name: signal.present for name, signal in self.signals.items()}

    def mean(self, values: Tensor) -> Tensor:
        """() mean of (B,) values, such as risks, each times the weight of its row. Every loss takes its risks through it."""
        return values.mean() if self.weight is None else (values * self.weight.to(values.dtype)).mean()

    def with_signals(self, signals: Mapping[str, Signal]) -> Batch:
        """The same rows with these modalities replaced and the others unchanged."""
        return replace(self, signals={**self.signals, **signals})

    def without(self, *names: str) -> Batch:
        """The same rows with these modalities absent in every row."""
        nowhere = torch.zeros((), dtype=torch.bool, device=self.ids.device)
        return self.with_signals({name: self.signals[name].keep(nowhere) for name in names})

    def select(self, rows: Tensor) -> Batch:
        """The rows with the numbers in an (R,) integer tensor, in that order."""
        return Batch(
            {name: signal.select(rows) for name, signal in self.signals.items()},
            self.target.index_select(0, rows),
            self.ids.index_select(0, rows),
            self.env.index_select(0, rows),
            weight=None if self.weight is None else self.weight.index_select(0, rows),
            view=self.view,
            own={name: moments.select(rows) for name, moments in self.own.items()},
        )

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The same rows on a device; `non_blocking` as in `Tensor.to`."""
        return Batch(
            {name: signal.to(device, non_blocking) for name, signal in self.signals.items()},
            self.target.to(device, non_blocking=non_blocking),
            self.ids.to(device, non_blocking=non_blocking),
            self.env.to(device, non_blocking=non_blocking),
            weight=None if self.weight is None else self.weight.to(device, non_blocking=non_blocking),
            view=self.view,
            own={name: moments.to(device, non_blocking) for name, moments in self.own.items()},
        )


@dataclass(frozen=True, eq=False)
class EncodedBatch(Batch):
    """Rows that a backbone has encoded; its `standardise` and `encode` return the stored results.

    A method passes one to a nested method, which then need not encode the same rows again. Replacing signals gives a
    plain `Batch`, because the features no longer match.

    Args:
        standardised: modality → signal in standard deviations.
        features: modality → (B, H_m).
    """

    standardised: Mapping[str, Signal]
    features: Mapping[str, Tensor]

    def with_signals(self, signals: Mapping[str, Signal]) -> Batch:
        joined, about = {**self.signals, **signals}, (self.target, self.ids, self.env)
        return Batch(joined, *about, weight=self.weight, view=self.view, own=self.own)

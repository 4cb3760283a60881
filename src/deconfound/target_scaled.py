"""`TargetScaled`: any method of a regression, trained on targets with mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.data.validation import check_resolution
from deconfound.errors import DataError
from deconfound.method import Loss, Method, MethodWrapper

SMALLEST, LARGEST = 1e-15, 1e15
"""Standard deviations of targets whose squares 32-bit floats hold."""


class TargetScaled(MethodWrapper):
    """Predicts mean + sd · `inner`, where `inner` sees targets (y − mean) / sd alone; the outermost wrapper of a regression.

    So the weights of the terms, the penalties, the clipping of gradients and the learning rate mean the same whatever the
    unit and the origin of the targets. Mean and sd are those of the training rows, in buffers; until `set_scale` they are
    0 and 1. `total`, `terms` and `monitors` of the loss stay in standard units; `risks` and `output` are in the target's own
    units, as are `forward` and `variants`.

    Args:
        inner: a method of a regression with its penalties and augmentations.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, inner: Method) -> None:
        hooks = replace(
            inner.hooks,
            check=self._check,
            on_epoch_start=self._start_epoch,
            on_validation_start=self._start_validation,
            variants=self._variants,
            fit=None if inner.hooks.fit is None else self._fit,
            in_target_units=self._in_target_units,
        )
        super().__init__(inner, hooks=hooks)
        assert inner.backbone.task.kind == "regression", "classes have no scale"
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def set_scale(self, mean: float, std: float) -> None:
        """Take mean and standard deviation of the training targets, as `target_scale` returns them."""
        self.mean.fill_(mean)
        self.std.fill_(std)

    def forward(self, batch: Batch) -> Tensor:
        return self._in_target_units(self.inner(batch))

    def loss(self, batch: Batch, progress: float, generator: torch.Generator) -> Loss:
        """As `Method.loss`, in the units that the class names."""
        loss = self.inner.loss(replace(batch, target=self._standardised(batch.target)), progress, generator)
        unit = self.std.square() if self.backbone.task.loss == "mse" else self.std
        return replace(loss, risks=loss.risks * unit, output=self._in_target_units(loss.output))

    def _in_target_units(self, output: Tensor) -> Tensor:
        """(B, 1) outputs of the inner method → predictions, in 32 bits at least: half precision has three digits."""
        return self.mean + self.std * output.to(torch.promote_types(output.dtype, self.mean.dtype))

    def _standardised(self, target: Tensor) -> Tensor:
        """(N,) targets less their mean, which is exact in floats near to it, in standard deviations."""
        return (target - self.mean.to(target)) / self.std.to(target)

    def _variants(self, batch: Batch) -> Mapping[str, Tensor]:
        return {name: self._in_target_units(output) for name, output in self.inner.variants(batch).items()}

    def _check(self, development: Dataset) -> None:
        """Check the rows as the inner method does, and that 32-bit floats can tell the targets apart.

        Raises:
            DataError: the spread of the training targets is too small beside their mean, or its square no float.
        """
        rows = development.rows("train")
        targets = development.target[rows.start : rows.stop].double()
        check_resolution(development.name, targets)
        std = target_scale(development)[1]
        if not SMALLEST <= std <= LARGEST:
            raise DataError(
                f"the training targets of {development.name} have a standard deviation of {std:.3g}, expected one in "
                f"[{SMALLEST:g}, {LARGEST:g}]; give them in another unit"
            )
        self.inner.hooks.check(development)

    def _start_epoch(self, epoch: int, development: Dataset, generator: torch.Generator) -> None:
        self.inner.hooks.on_epoch_start(epoch, self._scaled_rows(development), generator)

    def _start_validation(self, development: Dataset) -> None:
        self.inner.hooks.on_validation_start(self._scaled_rows(development))

    def _fit(self, development: Dataset, generator: torch.Generator) -> None:
        assert self.inner.hooks.fit is not None, "only a method with this hook is asked for it"
        self.inner.hooks.fit(self._scaled_rows(development), generator)

    def _scaled_rows(self, development: Dataset) -> Dataset:
        mean, std = float(self.mean), float(self.std)  # the rows are on the CPU
        return replace(development, target=(development.target - mean) / std)


def target_scale(dataset: Dataset) -> tuple[float, float]:
    """Mean and standard deviation (dividing by n) of the "train" targets; the latter is 1 where they are all equal.

    Raises:
        DataError: the dataset has no split "train".
    """
    rows = dataset.rows("train")
    return scale_of(dataset.target[rows.start : rows.stop])


def scale_of(target: Tensor) -> tuple[float, float]:
    """As `target_scale`, of (N,) targets."""
    targets = target.double()
    std = float(targets.std(correction=0)) if bool((targets != targets[0]).any()) else 1.0
    return float(targets.mean()), std

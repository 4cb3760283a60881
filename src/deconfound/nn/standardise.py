"""Scaled inputs: by default each feature has mean 0 and standard deviation 1 over the existing steps of the training rows.

Vectors and sequences are scaled per feature; images (channels, H, W) per channel, images (H, W) by one number, so that
pixels keep their contrast with each other. Tokens are not scaled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset, evenly_spaced
from deconfound.data.scales import SCALES
from deconfound.data.signal import GroupMoments, Signal
from deconfound.data.task import Modality, scale_shape
from deconfound.errors import DataError, SpecError, did_you_mean
from deconfound.nn.scale_curves import RankGauss, Robust, ScaleCurve

_CHUNK = 1 << 22  # numbers converted to float64 at a time: 32 MiB

MOST_VALUES = 100_000
"""Values of one feature that a curve is learnt from; of more rows, evenly spaced ones are taken."""

_ROWS = 256  # read at a time for a curve

FLOOR = 8.0
"""Rows of a group whose own moments count as much as those of all training rows."""


def safe_std(std: Tensor, mean: Tensor) -> Tensor:
    """A standard deviation safe to divide by: 1 where the feature is constant up to rounding, so that it becomes 0."""
    return torch.where(std > 1e-6 * mean.abs() + 1e-12, std, 1)


class Standardise(nn.Module):
    """curve((x − mean) / std) at the steps that exist, 0 elsewhere. Its buffers are part of the state of a model.

    Rows that come with the moments of their own group, of n rows, have mean λ m + (1 − λ) mean and variance
    λ v + (1 − λ) std² in the place of the training rows', where λ = n / (n + `FLOOR`).

    Args:
        modality: form of the input.
        scale: one of `SCALES`; "none" leaves the input as it is and ignores groups.

    Attributes:
        mean, std: of the training rows, whatever the scale; augmentations measure their noise by them.
        curve: what follows; None for "standard" and "none".

    Raises:
        SpecError: another scale.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, modality: Modality, scale: str = "standard") -> None:
        super().__init__()
        if scale not in SCALES:
            raise SpecError(f"scale of {modality.name!r}: there is no {scale!r}{did_you_mean(scale, SCALES)}")
        self.modality, self.scale = modality, scale
        shape = scale_shape(modality)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))
        curves: dict[str, type[ScaleCurve]] = {"robust": Robust, "rank-gauss": RankGauss}
        self.curve = curves[scale](shape) if scale in curves and modality.kind != "tokens" else None

    def set_scale(self, mean: Tensor, std: Tensor) -> None:
        """Take the scale of the training rows.

        Raises:
            DataError: the tensors do not have the shape that `scale_shape` gives, or are not finite and non-negative.
        """
        if mean.shape != self.mean.shape or std.shape != self.std.shape:
            raise DataError(
                f"the scale of {self.modality} has shape {tuple(self.mean.shape)}; "
                f"got mean {tuple(mean.shape)} and std {tuple(std.shape)}"
            )
        if not bool(torch.isfinite(mean).all() and torch.isfinite(std).all() and (std >= 0).all()):
            raise DataError(f"the scale of {self.modality} must be finite with a non-negative std; compute it anew")
        self.mean.copy_(mean)
        self.std.copy_(safe_std(std, mean))

    def forward(self, signal: Signal, own: GroupMoments | None = None) -> Signal:
        """The same steps, scaled in the precision of the model; tokens pass unchanged.

        Args:
            own: moments of the group of each row.
        """
        values = self.standardised(signal, own)
        if self.curve is not None:
            values = self.curve(values)
        absent = ~signal.mask.reshape(*signal.mask.shape, *[1] * (values.ndim - 2))
        return Signal(values.masked_fill(absent, 0), signal.mask)

    def standardised(self, signal: Signal, own: GroupMoments | None = None) -> Tensor:
        """(B, T, *F) the values before the curve, arbitrary where the mask is False; arguments as for `forward`."""
        if self.modality.kind == "tokens":
            return signal.values
        values = signal.values.to(self.mean.dtype)
        if self.scale == "none":
            return values
        if own is None:
            return (values - self.mean) / self.std
        share = (own.rows / (own.rows + FLOOR)).to(self.mean).reshape(-1, *[1] * self.mean.ndim)
        mean = share * own.mean.to(self.mean) + (1 - share) * self.mean
        var = share * own.var.to(self.mean) + (1 - share) * self.std.square()
        return (values - mean.unsqueeze(1)) / safe_std(var.sqrt(), mean).unsqueeze(1)


def training_scale(dataset: Dataset) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and standard deviation (dividing by n) of each modality over the steps that exist in the "train" rows.

    Rows are read in chunks and added up in float64 (Chan's update), so a mapped dataset larger than memory is fine and
    a large mean does not cancel. Modalities of tokens are left out; one that no training row has gets (0, 1).

    Returns:
        modality → float32 (mean, std), both of shape `scale_shape(modality)`; the std of a constant feature is 0.

    Raises:
        DataError: the dataset has no split "train".
    """
    rows, modalities = dataset.rows("train"), dataset.modalities
    return {
        name: _scale(signal, rows, scale_shape(modalities[name]))
        for name, signal in dataset.signals.items()
        if modalities[name].kind != "tokens"
    }


def _scale(signal: Signal, rows: range, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    axes = [0, *[axis + 1 for axis, size in enumerate(shape) if size == 1]]
    count, mean, squares = 0, torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
    size = max(1, _CHUNK // max(1, signal.values[0].numel()))
    for start in range(rows.start, rows.stop, size):
        stop = min(start + size, rows.stop)
        steps = signal.values[start:stop][signal.mask[start:stop]].double()  # (present steps, *F)
        if len(steps) == 0:
            continue
        more = steps.numel() // mean.numel()
        centre = steps.mean(axes, keepdim=True)[0]
        shift, total = centre - mean, count + more
        squares = squares + (steps - centre).square().sum(axes, keepdim=True)[0] + shift.square() * count * more / total
        mean, count = mean + shift * more / total, total
    if count == 0:
        return torch.zeros(shape), torch.ones(shape)
    return mean.float(), (squares / count).sqrt().float()


def fit_scales(scales: Mapping[str, Standardise], development: Dataset) -> None:
    """Give the scale of each modality what it keeps of the training rows: mean, standard deviation and curve.

    Args:
        scales: modality → scale.
        development: its "train" rows are read; with `Dataset.scale_by` a curve learns from rows scaled by their own groups.

    Raises:
        DataError: the dataset has no split "train".
    """
    for name, (mean, std) in training_scale(development).items():
        scales[name].set_scale(mean, std)
    for name, scale in scales.items():
        values = [] if scale.curve is None else list(_standardised(scale, name, development))
        if scale.curve is not None and values:
            scale.curve.fit(torch.cat(values, dim=1))


def _standardised(scale: Standardise, name: str, development: Dataset) -> Iterator[Tensor]:
    """(S, n) standardised values of the existing steps of training rows, in parts."""
    assert scale.curve is not None, "without a curve there is nothing to learn"
    train, signal = development.rows("train"), development.signals[name]
    per_row = max(1, int(signal.mask[train.start : train.stop].sum()) // max(1, len(train)))
    per_row *= signal.values.shape[2:].numel() // scale.curve.size
    for rows in evenly_spaced(train, max(1, MOST_VALUES // per_row)).split(_ROWS):
        batch = development.batch(rows)
        part = batch.signals[name]
        steps = scale.standardised(part, batch.own.get(name))[part.mask]
        if len(steps):
            yield scale.curve.columns(steps.unsqueeze(1))

"""The scales of a backbone, learnt from the training rows alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from deconfound.data.dataset import Dataset, evenly_spaced
from deconfound.nn.backbone import Backbone
from deconfound.nn.layers import module_key
from deconfound.nn.standardise import Standardise, training_scale

MOST_VALUES = 100_000
"""Values of one feature that a curve is learnt from; of more rows, evenly spaced ones are taken."""

_ROWS = 256  # read at a time


def fit_scales(backbone: Backbone, development: Dataset) -> None:
    """Give a backbone mean, standard deviation and curve of each modality, as its `scale` asks.

    Args:
        development: the "train" rows are read; with `scale_by` they are taken after the scaling by their own groups.

    Raises:
        DataError: the dataset has no split "train".
    """
    backbone.set_scale(training_scale(development))
    for name in backbone.modalities:
        scale = backbone.scales[module_key(name)]
        assert isinstance(scale, Standardise)
        if scale.curve is not None:
            values = list(_standardised(scale, name, development))
            if values:
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

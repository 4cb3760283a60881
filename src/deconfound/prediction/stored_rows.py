"""Stored rows with the features that a run takes: the repair of its training data in the place of their own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Signal
from deconfound.datasets.repair import Repair


def repaired_as(dataset: Dataset, repairs: Mapping[str, Repair]) -> dict[str, Signal]:
    """The signals of a dataset, each as the repair of a run would have made it from what was read.

    A feature that the dataset left out or flagged counts as not finite, and gets the mean of the run's training rows. What
    it imputed without a flag stays. A signal of another width than the repair's is left as it is.

    Args:
        repairs: modality → what training did with values that are not finite.
    """
    noted = dataset.provenance.get("masks", {})
    signals = dict(dataset.signals)
    for name in repairs.keys() & signals.keys():
        own = noted.get(name, {}).get("repair")
        signals[name] = _again(signals[name], None if own is None else Repair.of(own), repairs[name])
    return signals


def _again(signal: Signal, own: Repair | None, wanted: Repair) -> Signal:
    own = own or Repair("feature", wanted.width)
    same = (own.dropped, own.flagged) == (wanted.dropped, wanted.flagged)
    fits = signal.values.ndim == 3 and own.width == wanted.width and signal.values.shape[2] == own.features
    if wanted.invalid != "feature" or same or not fits:
        return signal
    inside = signal.mask.numpy()
    values = own.undone(signal.values.numpy().astype(np.float32))
    mask = wanted.masked(values, inside)
    return Signal(torch.from_numpy(wanted.filled(values, mask)), torch.from_numpy(mask))

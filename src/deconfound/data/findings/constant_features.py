"""Features that are constant or nearly so in train and vary in another split."""

from __future__ import annotations

import torch

from deconfound.data.dataset import Dataset
from deconfound.data.findings.feature_moments import moments, numeric

_TINY = 1e-6  # of the size of the feature: equal up to rounding
_RATIO = 100.0  # between the standard deviations of another split and train
_MOST = 5


def find(dataset: Dataset) -> list[str]:
    """One line per modality and split with features that only vary there."""
    if "train" not in dataset.splits:
        return []
    lines = []
    for name, signal in numeric(dataset).items():
        mean, sd = moments(signal, dataset.splits["train"])
        floor = _TINY * mean.abs().clamp(min=1)
        for split, rows in dataset.splits.items():
            if split == "train":
                continue
            later_mean, later_sd = moments(signal, rows)
            spread = torch.maximum(later_sd, (later_mean - mean).abs())
            varying = (spread > _RATIO * torch.maximum(sd, floor)) & bool(signal.mask[rows.start : rows.stop].any())
            features = torch.nonzero(varying).flatten().tolist()
            if features:
                worst = int((spread / torch.maximum(sd, floor)).argmax())
                lines.append(
                    f"{name}: {len(features)} of {len(sd)} features ({', '.join(map(str, features[:_MOST]))}"
                    f"{', …' if len(features) > _MOST else ''}) hardly vary in the {len(dataset.splits['train'])} rows of "
                    f"train but do in the {len(rows)} of {split} (feature {worst}: sd {float(sd[worst]):.3g} against "
                    f"{float(later_sd[worst]):.3g}, mean {float(mean[worst]):.3g} against "
                    f"{float(later_mean[worst]):.3g}): a model cannot know them; leave them out or split anew"
                )
    return lines

"""Values many standard deviations of train away from its mean, counted by split."""

from __future__ import annotations

from deconfound.data.dataset import Dataset
from deconfound.data.findings.feature_moments import moments, numeric, step_chunks
from deconfound.data.findings.wording import named_rows

_FAR = 30.0  # standard deviations


def find(dataset: Dataset) -> list[str]:
    """One line per modality and split with far-out values."""
    if "train" not in dataset.splits:
        return []
    lines = []
    for name, signal in numeric(dataset).items():
        mean, sd = moments(signal, dataset.splits["train"])
        varying = sd > 1e-6 * mean.abs().clamp(min=1)  # others are those of `constant_features`
        for split, rows in dataset.splits.items():
            values, where, furthest, feature = 0, set[int](), 0.0, 0
            for steps, numbers in step_chunks(signal, rows):
                distance = ((steps - mean).abs() / sd.clamp(min=1e-300)) * varying
                far = distance > _FAR
                values += int(far.sum())
                where |= set(numbers[far.any(dim=1)].tolist())
                if far.any() and float(distance.max()) > furthest:
                    furthest, feature = float(distance.max()), int(distance.max(dim=0).values.argmax())
            if values:
                lines.append(
                    f"{name}: {values} values in {len(where)} of {len(rows)} rows of {split} "
                    f"({named_rows(dataset, sorted(where))}) lie more than {_FAR:g} standard deviations from the mean of "
                    f"train (the furthest {furthest:.3g}, feature {feature}): look for a wrong unit or a failed "
                    "extraction; correct the values, or write NaN in their place"
                )
    return lines

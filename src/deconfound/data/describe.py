"""Summary of a dataset: splits, shapes, missing values, targets, groups, and the predictive power of each modality."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from deconfound.data.dataset import DEVELOPMENT, Dataset
from deconfound.data.findings import find_all
from deconfound.data.linear_probe import Probe, probe

_BINS = 12
_OVERFIT_GAP = 0.3  # of R² or accuracy, between the training and validation rows of a probe


@dataclass(frozen=True)
class Description:
    """A dataset in numbers; JSON values only.

    Args:
        name: dataset name.
        task: such as "regression (l1, protocol mmsa-regression)".
        rows: split → rows.
        modalities: modality → kind, steps T and shape F of a step.
        missing: modality → split → shares in [0, 1]: "rows" without it, and "steps" that do not exist.
        target: split → distribution: for regression mean, sd, min, median, max and counts per bin; for classification
            counts per class; for multilabel the rows that have each label.
        edges: bin edges of the target, the same for all splits; empty for classification.
        groups: environment columns, number of groups, split → number of groups, rows of the smallest and largest group.
        warnings: problems to check before training, one line each.
        probes: one linear probe per modality, best first; empty without a validation split.
        best_alone: the modality that predicts the target best on validation, or None if none beats a constant. Whether it
            predominates, `deconfound predominance` says, with an interval of its lead.
    """

    name: str
    task: str
    rows: dict[str, int]
    modalities: dict[str, dict[str, Any]]
    missing: dict[str, dict[str, dict[str, float]]]
    target: dict[str, dict[str, Any]]
    edges: list[float]
    groups: dict[str, Any]
    warnings: list[str]
    probes: list[Probe]
    best_alone: str | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def describe(dataset: Dataset) -> Description:
    """Count rows and values, and fit one linear probe per modality on train, scored on valid.

    Counts include all splits; the probes read no test row.
    """
    task = dataset.task
    edges, target = _target(dataset)
    groups = _groups(dataset)
    has_both = {"train", "valid"} <= set(dataset.splits)
    probes = sorted((probe(dataset, m) for m in dataset.signals), key=lambda p: -p.score) if has_both else []
    return Description(
        name=dataset.name,
        task=f"{task.kind} ({task.loss}, protocol {task.protocol})",
        rows={split: len(rows) for split, rows in dataset.splits.items()},
        modalities={
            name: {"kind": modality.kind, "steps": modality.steps, "shape": list(modality.shape)}
            for name, modality in dataset.modalities.items()
        },
        missing=_missing(dataset),
        target=target,
        edges=edges,
        groups=groups,
        warnings=_warnings(dataset)
        + [_overfit_warning(p) for p in probes if p.train - p.score > _OVERFIT_GAP and p.score <= p.constant],
        probes=probes,
        best_alone=probes[0].modality if probes and probes[0].score > probes[0].constant else None,
    )


def _missing(dataset: Dataset) -> dict[str, dict[str, dict[str, float]]]:
    def shares(mask: torch.Tensor) -> dict[str, float]:
        return {"rows": 1 - float(mask.any(dim=1).float().mean()), "steps": 1 - float(mask.float().mean())}

    return {
        name: {split: shares(signal.mask[rows.start : rows.stop]) for split, rows in dataset.splits.items()}
        for name, signal in dataset.signals.items()
    }


def _target(dataset: Dataset) -> tuple[list[float], dict[str, dict[str, Any]]]:
    parts = {split: dataset.target[rows.start : rows.stop] for split, rows in dataset.splits.items()}
    if dataset.task.kind == "classification":
        classes = dataset.task.classes
        counts = {split: torch.bincount(part, minlength=len(classes)).tolist() for split, part in parts.items()}
        return [], {split: dict(zip(classes, numbers, strict=True)) for split, numbers in counts.items()}
    if dataset.task.kind == "multilabel":
        rows = {split: part.sum(0).long().tolist() for split, part in parts.items()}
        return [], {split: dict(zip(dataset.task.classes, counts, strict=True)) for split, counts in rows.items()}
    low, high = float(dataset.target.min()), float(dataset.target.max())
    high = high if high > low else low + 1
    edges = torch.linspace(low, high, _BINS + 1, dtype=torch.float64)
    return edges.tolist(), {split: _distribution(part.double(), edges) for split, part in parts.items()}


def _distribution(part: torch.Tensor, edges: torch.Tensor) -> dict[str, Any]:
    bins = torch.bucketize(part, edges[1:-1], right=True)
    return {
        "mean": float(part.mean()),
        "sd": float(part.std(correction=0)),
        "min": float(part.min()),
        "median": float(part.quantile(0.5)) if len(part) < 1 << 24 else float(part.median()),
        "max": float(part.max()),
        "counts": torch.bincount(bins, minlength=_BINS).tolist(),
    }


def _groups(dataset: Dataset) -> dict[str, Any]:
    if not dataset.environment:
        return {}
    sizes = torch.bincount(dataset.env)
    sizes = sizes[sizes > 0]
    return {
        "columns": list(dataset.environment),
        "count": len(sizes),
        "per_split": {s: len(dataset.env[rows.start : rows.stop].unique()) for s, rows in dataset.splits.items()},
        "smallest": int(sizes.min()),
        "largest": int(sizes.max()),
    }


def _warnings(dataset: Dataset) -> list[str]:
    lines = _overlaps(dataset) if dataset.environment else []
    for name, signal in dataset.signals.items():
        for split, rows in dataset.splits.items():
            if not bool(signal.mask[rows.start : rows.stop].any()):
                lines.append(f"{name} is absent in every row of {split}")
    lines += find_all(dataset)
    return lines


def _overlaps(dataset: Dataset) -> list[str]:
    """One line for each development split whose groups also occur in later splits."""
    groups = {split: set(dataset.env[rows.start : rows.stop].tolist()) for split, rows in dataset.splits.items()}
    columns, lines = ", ".join(dataset.environment), []
    for position, split in enumerate(groups):
        later = list(groups)[position + 1 :] if split in DEVELOPMENT else []
        shared = [
            f"{len(groups[split] & groups[s])} of {len(groups[s])} with {s}" for s in later if groups[split] & groups[s]
        ]
        if shared:
            lines.append(
                f"{split} shares groups of {columns}: {', '.join(shared)}; rows of shared groups do not test new groups"
            )
    return lines


def _overfit_warning(probe: Probe) -> str:
    return (
        f"{probe.modality} alone predicts train ({probe.metric} {probe.train:.2f}) but not valid ({probe.score:.2f}): "
        "a model may memorize its training rows"
    )

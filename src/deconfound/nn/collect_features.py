"""Features of the training rows, for methods that learn something from all of them between epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.dataset import Dataset, evenly_spaced
from deconfound.data.quantile_edges import quantile_edges
from deconfound.data.signal import Batch
from deconfound.data.task import Task
from deconfound.errors import DataError
from deconfound.nn.backbone import Backbone
from deconfound.nn.directions import Directions, without_shifts
from deconfound.nn.inference import apply_to_batches

MOST_ROWS = 4096
"""Most training rows that are used, evenly spaced; more cost time and change little."""
_CHUNK = 512
FeatureSource = Literal["features", "encoders", "inputs"]


@dataclass(frozen=True, eq=False)
class TrainingFeatures:
    """Features of N training rows at one moment of the training.

    Args:
        features: modality → (N, H), 0 where the modality is absent.
        present: modality → (N,) bool.
        target: (N,).
        env: (N,) environment numbers.
    """

    features: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    target: Tensor
    env: Tensor


def training_rows(development: Dataset, most: int = MOST_ROWS) -> Tensor:
    """(R,) int64 numbers of training rows, at most `most` of them, evenly spaced."""
    return evenly_spaced(development.rows("train"), most)


def collect_features(backbone: Backbone, development: Dataset, of: FeatureSource = "features") -> TrainingFeatures:
    """Features of training rows in eval mode, computed on the device of the backbone.

    Args:
        of: "features" of the backbone, the outputs of its "encoders", or the mean over steps of its standardised "inputs",
            without tokens.
    """
    compute = {
        "features": backbone.encode,
        "encoders": lambda batch: backbone.encode_signals(backbone.standardise(batch)),
        "inputs": lambda batch: pooled(batch, backbone),
    }[of]
    chunks = (development.batch(rows) for rows in training_rows(development).split(_CHUNK))
    batches, features = zip(*apply_to_batches(backbone, chunks, lambda batch: (batch, compute(batch))), strict=True)
    return TrainingFeatures(
        {name: torch.cat([part[name] for part in features]) for name in features[0]},
        {name: torch.cat([batch.present[name] for batch in batches]) for name in backbone.modalities},
        torch.cat([batch.target for batch in batches]),
        torch.cat([batch.env for batch in batches]),
    )


def pooled(batch: Batch, backbone: Backbone) -> dict[str, Tensor]:
    """Modality → (B, D) mean of the standardised input over the steps that exist; modalities of tokens are left out."""
    means = {}
    for name, signal in backbone.standardise(batch).items():
        if backbone.modalities[name].kind != "tokens":
            steps = signal.mask.sum(1, keepdim=True).clamp(min=1)
            means[name] = signal.values.flatten(2).sum(1) / steps  # values are 0 where the mask is False
    return means


ShiftKind = Annotated[
    Literal["means", "slopes"],
    Field(
        description="movement of the means at a fixed label, or of their slope on the label, for causes that shift too"
    ),
]


def find_directions(
    groups: Sequence[tuple[Sequence[str], Directions]],
    rows: TrainingFeatures,
    task: Task,
    movement: ShiftKind,
    generator: torch.Generator,
) -> None:
    """Set the directions of the modalities of each group from the rows that have them.

    Args:
        rows: features to search.
        movement: "means" for movements of the means at a fixed label; "slopes" removes the shift of each environment first.
    """
    slopes = movement == "slopes"
    bins = environment_bins(task, rows.target, rows.env) if slopes else label_bins(task, rows.target)
    for names, directions in groups:
        present = [rows.present[name] for name in names]
        env, labels = [rows.env[chosen] for chosen in present], [bins[chosen] for chosen in present]
        features = [rows.features[name][chosen] for name, chosen in zip(names, present, strict=True)]
        if slopes:
            features = [without_shifts(*modality) for modality in zip(features, env, labels, strict=True)]
        directions.find(features, env, labels, generator)


def directions_note(counts: Mapping[str, int]) -> str:
    """A sentence that tells how many directions structured noise follows in each modality."""
    text = ", ".join(f"{name} {count}" for name, count in counts.items())
    if not any(counts.values()):
        return f"no direction moves with the environment beyond chance ({text}): the noise is that of plain cmir"
    return f"directions that move with the environment at a fixed label: {text}"


def label_bins(task: Task, target: Tensor, count: int = 4, among: Tensor | None = None) -> Tensor:
    """(N,) int64 label of each row: its class, or its bin between `count` - 1 quantiles of the targets.

    Args:
        among: (R,) targets that give the quantiles; the same targets if left out.
    """
    if task.kind == "classification":
        return target
    known = target if among is None else among
    return torch.bucketize(target.double(), quantile_edges(known.double(), count))


def environment_bins(task: Task, target: Tensor, env: Tensor, count: int = 4) -> Tensor:
    """As `label_bins`, but with the quantiles of the targets of each environment."""
    if task.kind == "classification":
        return target
    bins = torch.zeros_like(env)
    for number in torch.unique(env):
        bins[env == number] = label_bins(task, target[env == number], count)
    return bins


def check_environments(development: Dataset, fewest: int = 3) -> None:
    """Check that labels can be compared between the environments of the training rows.

    Raises:
        DataError: one environment, or no label (class, or quarter of the targets) with `fewest` rows in two of them.
    """
    rows = development.rows("train")
    cut = slice(rows.start, rows.stop)
    env, bins = development.env[cut], label_bins(development.task, development.target[cut])
    if len(torch.unique(env)) < 2:
        raise DataError(
            f"the training rows of {development.name} are of one environment; name columns that tell several apart "
            "('environment' under [data]), or use the method 'cmir' with source = 'virtual'"
        )
    cells, count = torch.unique(torch.stack([bins, env], 1), dim=0, return_counts=True)
    if int(torch.bincount(cells[count >= fewest, 0], minlength=1).max()) < 2:
        raise DataError(
            f"no label of {development.name} has {fewest} training rows in two environments, so they cannot be compared; "
            "name coarser columns under [data] environment"
        )

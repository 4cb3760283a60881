"""What the encoders make of the training rows, for methods that learn something from all of them between epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from deconfound.data.dataset import Dataset, evenly
from deconfound.data.signal import Batch
from deconfound.data.task import Task
from deconfound.errors import DataError
from deconfound.nn.backbone import Backbone
from deconfound.nn.directions import Directions, without_shifts
from deconfound.nn.inference import apply_to_batches

MOST_ROWS = 4096
"""Training rows that are looked at, evenly spaced; more cost time and change little."""
_CHUNK = 512
Surveyed = Literal["features", "encoders", "inputs"]


@dataclass(frozen=True, eq=False)
class Survey:
    """N training rows as the encoders see them at one moment.

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
    """(R,) int64 numbers of at most so many training rows, evenly spaced."""
    return evenly(development.rows("train"), most)


def survey(backbone: Backbone, development: Dataset, of: Surveyed = "features") -> Survey:
    """Look at training rows in eval mode, on the device of the backbone.

    Args:
        of: what is kept of them: "features" of the backbone, what its "encoders" make, or the standardised "inputs", their
            mean over steps, without tokens.
    """
    look = {
        "features": backbone.encode,
        "encoders": lambda batch: backbone.encode_signals(backbone.standardise(batch)),
        "inputs": lambda batch: pooled(batch, backbone),
    }[of]
    chunks = (development.batch(rows) for rows in training_rows(development).split(_CHUNK))
    batches, features = zip(*apply_to_batches(backbone, chunks, lambda batch: (batch, look(batch))), strict=True)
    return Survey(
        {name: torch.cat([part[name] for part in features]) for name in features[0]},
        {name: torch.cat([batch.present[name] for batch in batches]) for name in backbone.modalities},
        torch.cat([batch.target for batch in batches]),
        torch.cat([batch.env for batch in batches]),
    )


def pooled(batch: Batch, backbone: Backbone) -> dict[str, Tensor]:
    """Modality → (B, D) mean of the standardised input over the steps that exist; modalities of tokens are left out."""
    kept = {}
    for name, signal in backbone.standardise(batch).items():
        if backbone.modalities[name].kind != "tokens":
            steps = signal.mask.sum(1, keepdim=True).clamp(min=1)
            kept[name] = signal.values.flatten(2).sum(1) / steps  # values are 0 where the mask is False
    return kept


Movement = Annotated[
    Literal["means", "slopes"],
    Field(description="of the means at a fixed label, or of their slope on it: where causes shift too"),
]


def find_directions(
    groups: Sequence[tuple[Sequence[str], Directions]],
    seen: Survey,
    task: Task,
    movement: Movement,
    generator: torch.Generator,
) -> None:
    """Set the directions of the modalities of each group from the rows that have them.

    Args:
        movement: of the means at a fixed label, or of what is left of them without the shift of the environment.
    """
    slopes = movement == "slopes"
    bins = environment_bins(task, seen.target, seen.env) if slopes else label_bins(task, seen.target)
    for names, directions in groups:
        there = [seen.present[name] for name in names]
        env, labels = [seen.env[rows] for rows in there], [bins[rows] for rows in there]
        features = [seen.features[name][rows] for name, rows in zip(names, there, strict=True)]
        if slopes:
            features = [without_shifts(*each) for each in zip(features, env, labels, strict=True)]
        directions.find(features, env, labels, generator)


def directions_note(found: Mapping[str, int]) -> str:
    """How many directions structured noise follows, per modality."""
    text = ", ".join(f"{name} {count}" for name, count in found.items())
    if not any(found.values()):
        return f"no direction moves with the environment beyond chance ({text}): the noise is that of plain cmir"
    return f"directions that move with the environment at a fixed label: {text}"


def label_bins(task: Task, target: Tensor, count: int = 4, among: Tensor | None = None) -> Tensor:
    """(N,) int64 label of each row: its class, or its bin between `count` - 1 quantiles of the targets.

    Args:
        among: (R,) targets whose quantiles these are; the same targets if left out.
    """
    if task.kind == "classification":
        return target
    known = target if among is None else among
    edges = torch.quantile(known.double(), torch.arange(1, count, device=known.device).double() / count)
    return torch.bucketize(target.double(), edges)


def environment_bins(task: Task, target: Tensor, env: Tensor, count: int = 4) -> Tensor:
    """As `label_bins`, with the quantiles of each environment's own targets."""
    if task.kind == "classification":
        return target
    bins = torch.zeros_like(env)
    for each in torch.unique(env):
        bins[env == each] = label_bins(task, target[env == each], count)
    return bins


def check_environments(development: Dataset, fewest: int = 3) -> None:
    """Whether labels can be compared between the environments of the training rows.

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

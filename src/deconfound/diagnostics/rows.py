"""What a trained method makes of the rows of a split, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from deconfound.evaluation.outputs import batch_outputs, check_finite, row_batches
from deconfound.method import Representations
from deconfound.nn.inference import apply_to_batches

if TYPE_CHECKING:
    from deconfound.data.dataset import Dataset
    from deconfound.data.signal import Batch
    from deconfound.method import Method

ALL = "all"
"""All modalities side by side."""


@dataclass(frozen=True, eq=False)
class Observed:
    """N rows.

    Args:
        predictive, spurious: modality → (N, D) as `Representations`; spurious is empty for methods that do not split.
        present: modality → (N,) bool.
        target: (N,) labels or class numbers. risks: (N,) of the prediction.
        env: (N,) numbers into `environments`.
        groups: (N,) numbers of the rows that belong together; None where the data declare none.
        latents: name → (N, d) known factors of synthetic data.
        rest: largest |prediction − what the head makes of the predictive parts alone|; None if it does not take them.
    """

    predictive: Mapping[str, np.ndarray]
    spurious: Mapping[str, np.ndarray]
    present: Mapping[str, np.ndarray]
    target: np.ndarray
    classify: bool
    risks: np.ndarray
    env: np.ndarray
    environments: list[str]
    groups: np.ndarray | None
    latents: Mapping[str, np.ndarray]
    rest: float | None

    @property
    def parts(self) -> dict[str, Mapping[str, np.ndarray]]:
        """The parts that there are: "predictive", and "spurious" of a method that splits."""
        return {"predictive": self.predictive} | ({"spurious": self.spurious} if self.spurious else {})

    def block(self, part: str, modality: str) -> tuple[np.ndarray, np.ndarray]:
        """A part as (R, D) values, and the (R,) numbers of its rows.

        Of one modality: the rows in which it is present. Of `ALL`: every row that has a modality; what is absent there
        stands at the mean of the rows that have it.
        """
        values = self.parts[part]
        if modality != ALL:
            rows = np.flatnonzero(self.present[modality])
            return values[modality][rows], rows
        rows = np.flatnonzero(np.any([self.present[name] for name in values], axis=0))
        filled = [_filled(values[name], self.present[name])[rows] for name in values]
        return np.concatenate(filled, axis=1), rows


def observe(method: Method, dataset: Dataset, split: str, device: str = "cpu") -> tuple[Observed, Representations]:
    """Run the method over a split, clean.

    Returns:
        the rows as arrays, and the same parts as (N, D) tensors on the device for a decoder.

    Raises:
        DataError: there is no such split.
        RunError: an output or a part that is not finite.
    """
    span = dataset.rows(split)
    cut = slice(span.start, span.stop)

    def observe_batch(batch: Batch) -> tuple[Representations, torch.Tensor, torch.Tensor, float | None]:
        output = torch.from_numpy(batch_outputs(method, batch, dataset.task))
        parts = method.representations(batch)
        risk = dataset.task.risk(output, batch.target.cpu())
        return parts, output, risk, _rest(method, parts, batch.present, output)

    results = apply_to_batches(method, row_batches(dataset, span), observe_batch, device)
    parts, outputs, risks, rests = zip(*results, strict=True)
    joined = Representations(*(_joined([getattr(part, side) for part in parts]) for side in ("predictive", "spurious")))
    output = torch.cat(outputs).numpy()
    known_rests = [rest for rest in rests if rest is not None]
    group, names = dataset.groups(*dataset.environment)
    numbers, env = np.unique(group[cut].numpy(), return_inverse=True)
    observed = Observed(
        predictive={name: values.double().cpu().numpy() for name, values in joined.predictive.items()},
        spurious={name: values.double().cpu().numpy() for name, values in joined.spurious.items()},
        present={name: signal.present[cut].numpy() for name, signal in dataset.signals.items()},
        target=dataset.target[cut].numpy().astype(np.int64 if dataset.task.kind == "classification" else np.float64),
        classify=dataset.task.kind == "classification",
        risks=torch.cat(risks).double().numpy(),
        env=env,
        environments=[names[number] for number in numbers.tolist()],
        groups=dataset.groups(*dataset.group)[0][cut].numpy() if dataset.group else None,
        latents={name: values[cut].double().numpy() for name, values in dataset.latents.items()},
        rest=max(known_rests) if len(known_rests) == len(rests) else None,
    )
    ids = dataset.columns["id"].values[cut].astype(str)
    wrong = ~np.isfinite(output).all(axis=1)
    for values in (*observed.predictive.values(), *observed.spurious.values()):
        wrong = wrong | ~np.isfinite(values).all(axis=1)
    check_finite(np.asarray(wrong), ids, f"{type(method).__name__}, split {split!r}")
    return observed, joined


def _joined(parts: list[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _rest(
    method: Method, parts: Representations, present: Mapping[str, torch.Tensor], output: torch.Tensor
) -> float | None:
    """How far the prediction is from the head on the predictive parts; None if they are not what the head takes."""
    widths = {name: values.shape[1] for name, values in parts.predictive.items()}
    if widths != dict(method.backbone.widths):
        return None
    alone = method.predict_from(parts.predictive, present).float().cpu()
    return float((alone - output).abs().max()) if alone.shape == output.shape else None


def _filled(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(N, D) with absent rows at the mean of the others; 0 where there is none."""
    mean = values[present].mean(axis=0) if present.any() else np.zeros(values.shape[1])
    return np.where(present[:, None], values, mean)

"""Counterfactual exchange of one part between rows: does the prediction stay, what do decoded features follow?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from deconfound.method import Representations
from deconfound.nn.inference import evaluating

if TYPE_CHECKING:
    from deconfound.diagnostics.rows import Observed
    from deconfound.method import Method

TOLERANCE = 1e-4
"""Rounding of a prediction, relative to its size."""
FEWEST_ROWS = 10


@dataclass(frozen=True)
class DecodedChange:
    """How far decoded features move when a part is taken from another row, root mean square in standard deviations.

    Args:
        modality: whose features.
        partner: the other row is of the "same" or of an "other" environment.
        predictive, spurious: by the exchange of this part alone.
        both: by the exchange of both parts: the distance between two rows.
        rows: exchanged.
    """

    modality: str
    partner: str
    predictive: float
    spurious: float
    both: float
    rows: int


@dataclass(frozen=True)
class Swap:
    """Exchange of the spurious parts between rows.

    Args:
        prediction_moves: largest change of a prediction by any exchange of spurious parts; 0.0 where the prediction is
            made from the predictive parts alone, None where it could not be told.
        by_construction: True if the head does not see the spurious parts, so that nothing else was possible.
        rest: what is left between the prediction and the head on the predictive parts: rounding.
        decoded: for methods with a decoder.
    """

    prediction_moves: float | None
    by_construction: bool
    rest: float | None
    decoded: list[DecodedChange]


def swap(
    method: Method,
    observed: Observed,
    parts: Representations,
    generator: np.random.Generator,
    device: str = "cpu",
    size: float = 1.0,
) -> Swap | None:
    """Exchange spurious parts; None for a method that does not split.

    Args:
        parts: the (N, D) tensors of `rows.observe`.
        size: of the predictions, to tell rounding.
    """
    if not observed.spurious:
        return None
    apart = observed.rest is not None and observed.rest <= TOLERANCE * max(1.0, size)
    moved: list[DecodedChange] = []
    with evaluating(method, device):
        for same in (True, False):
            rows, partner = partners(observed.env, same, generator)
            if len(rows) >= FEWEST_ROWS:
                moved += decoded(method, observed.present, parts, rows, partner, "same" if same else "other")
    return Swap(0.0 if apart else None, apart, observed.rest, moved)


def partners(env: np.ndarray, same: bool, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows and a partner for each: another row of its environment, or one of any other; rows without are left out."""
    rows, partner = [], []
    for number in np.unique(env):
        inside, outside = np.flatnonzero(env == number), np.flatnonzero(env != number)
        if same and len(inside) > 1:
            ring = generator.permutation(inside)
            rows.append(ring)
            partner.append(np.roll(ring, 1))
        elif not same and len(outside):
            rows.append(inside)
            partner.append(generator.choice(outside, len(inside)))
    empty = np.empty(0, dtype=np.int64)
    return (np.concatenate(rows), np.concatenate(partner)) if rows else (empty, empty)


def decoded(
    method: Method,
    present: Mapping[str, np.ndarray],
    parts: Representations,
    rows: np.ndarray,
    partner: np.ndarray,
    name: str,
) -> list[DecodedChange]:
    """Decode with own and with exchanged parts; empty without a decoder. Pairs without a modality do not count there."""
    one, other = torch.from_numpy(rows), torch.from_numpy(partner)
    own = _rebuilt(method, parts, one, one)
    if own is None:
        return []
    changed = {
        "predictive": _rebuilt(method, parts, other, one),
        "spurious": _rebuilt(method, parts, one, other),
        "both": _rebuilt(method, parts, other, other),
    }
    changes = []
    for modality, features in own.items():
        is_present = torch.from_numpy(present[modality][rows] & present[modality][partner]).to(features.device)
        if int(is_present.sum()) < FEWEST_ROWS:
            continue
        moves = {
            part: float((new[modality] - features)[is_present].double().square().mean().sqrt())
            for part, new in changed.items()
            if new is not None
        }
        changes.append(DecodedChange(modality, name, **moves, rows=int(is_present.sum())))
    return changes


def _rebuilt(
    method: Method, parts: Representations, predictive: torch.Tensor, spurious: torch.Tensor
) -> Mapping[str, torch.Tensor] | None:
    mixed = Representations(
        {name: values[predictive.to(values.device)] for name, values in parts.predictive.items()},
        {name: values[spurious.to(values.device)] for name, values in parts.spurious.items()},
    )
    return method.reconstruct(mixed)

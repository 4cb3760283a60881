"""Signals of new rows, brought into the shapes that a run was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F

from deconfound.data.signal import Signal
from deconfound.data.task import Modality
from deconfound.errors import DataError, did_you_mean


def expectation(modalities: Mapping[str, Modality]) -> str:
    """`"this run expects text sequence 30×64, audio vector 1×73"`."""
    return f"this run expects {', '.join(map(str, modalities.values()))}"


def unknown_modality(name: str, modalities: Mapping[str, Modality]) -> str:
    """The error that a run knows no modality of a name."""
    hint = did_you_mean(name[:80], modalities)
    close = hint.rstrip("?") if "did you mean" in hint else ""
    return f"there is no modality {name[:80]!r}{close}; {expectation(modalities)}"


def conform(signals: Mapping[str, Signal], modalities: Mapping[str, Modality], ids: Sequence[str]) -> dict[str, Signal]:
    """All modalities of a run for B rows: padded to T steps, absent where `signals` lacks them, 0 where masked.

    Args:
        signals: some or all of the run's modalities. Others are ignored if `signals` holds all of the run's, and refused
            if not, because one of them is then probably misspelt.
        ids: B names for error messages.

    Raises:
        DataError: a name is unknown, a shape differs, a row has too many steps, a value that is not finite or no modality.
    """
    unknown = [name for name in signals if name not in modalities]
    if unknown and not modalities.keys() <= signals.keys():
        raise DataError(unknown_modality(unknown[0], modalities))
    rows = {
        name: _conform(signals[name], modality, ids) if name in signals else absent(modality, len(ids))
        for name, modality in modalities.items()
    }
    empty = ~torch.stack([signal.present for signal in rows.values()]).any(dim=0)
    if bool(empty.any()):
        raise DataError(f"row {ids[int(empty.int().argmax())]!r} has no modality at all; {expectation(modalities)}")
    return rows


def _conform(signal: Signal, modality: Modality, ids: Sequence[str]) -> Signal:
    values, mask, steps = signal.values, signal.mask, modality.steps
    if tuple(values.shape[2:]) != modality.shape or bool(mask[:, steps:].any()):
        shape = "×".join(map(str, values.shape[1:]))
        raise DataError(f"{modality.name!r} has shape {shape}; {expectation({modality.name: modality})}")
    if modality.kind == "tokens" and values.is_floating_point():
        raise DataError(f"{modality.name!r} holds real numbers; {expectation({modality.name: modality})}: integers")
    values = values[:, :steps] if modality.kind == "tokens" else values[:, :steps].float()
    cleaned = Signal(values, mask[:, :steps]).keep(torch.ones((), dtype=torch.bool))
    wrong = ~torch.isfinite(cleaned.values).flatten(1).all(dim=1)
    if bool(wrong.any()):
        name = ids[int(wrong.int().argmax())]
        raise DataError(
            f"{modality.name!r} of row {name!r} holds NaN or numbers beyond float32; leave it out or correct it"
        )
    missing_steps = steps - cleaned.mask.shape[1]
    padding = [0, 0] * len(modality.shape) + [0, missing_steps]
    return Signal(F.pad(cleaned.values, padding), F.pad(cleaned.mask, [0, missing_steps])) if missing_steps else cleaned


def absent(modality: Modality, count: int) -> Signal:
    """A modality that B rows lack."""
    dtype = torch.int64 if modality.kind == "tokens" else torch.float32
    mask = torch.zeros(count, modality.steps, dtype=torch.bool)
    return Signal(torch.zeros(*mask.shape, *modality.shape, dtype=dtype), mask)

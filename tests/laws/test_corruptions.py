from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from deconfound.corruption import Corruption, check_severity
from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch, Signal
from deconfound.registry import build, names
from deconfound.testing.corruption import check_corruption
from support.toy import rows


@pytest.mark.parametrize("name", names("corruptions"))
@pytest.mark.parametrize("severity", [0.1, 0.5, 0.9])
def test_laws_hold(name: str, severity: float) -> None:
    check_corruption(build("corruptions", name), severity=severity)


@pytest.mark.parametrize("name", names("corruptions"))
def test_laws_hold_on_other_rows_and_named_modalities(name: str) -> None:
    check_corruption(build("corruptions", name, modalities=["text"]), rows())


Change = Callable[[Batch, float, torch.Generator], Batch]


class Broken(Corruption):
    """Noise on "voice" that is lawful unless a part is replaced."""

    def __init__(self, *, change: Change) -> None:
        self.change = change

    def __call__(self, batch: Batch, severity: float, generator: torch.Generator) -> Batch:
        check_severity(severity)
        return self.change(batch, severity, generator)


def noisy(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    voice = batch.signals["voice"]
    noise = severity * torch.randn(voice.values.shape, generator=generator)
    return batch.with_signals({"voice": Signal(voice.values + noise, voice.mask).keep(voice.mask)})


def always(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    return noisy(batch, 1.0, generator)


def in_place(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    batch.signals["voice"].values.mul_(1 + severity)
    return noisy(batch, severity, generator)


def global_generator(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    torch.rand(1)
    return noisy(batch, severity, generator)


def deterministic(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    return noisy(batch, severity, torch.Generator().manual_seed(1))


def invents(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    voice = noisy(batch, severity, generator).signals["voice"]
    return batch.with_signals({"voice": Signal(voice.values, voice.mask | (severity > 0))})


def under_the_mask(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    voice = batch.signals["voice"]
    noise = severity * torch.randn(voice.values.shape, generator=generator)
    return batch.with_signals({"voice": Signal(voice.values + noise, voice.mask)})


def mixes_rows(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    voice = noisy(batch, severity, generator).signals["voice"]
    mixed = voice.values + severity * voice.values.flip(0)
    return batch.with_signals({"voice": Signal(mixed, voice.mask).keep(voice.mask)})


def moves_target(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    return replace(noisy(batch, severity, generator), target=batch.target + severity)


def widens(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    voice = noisy(batch, severity, generator).signals["voice"]
    return batch.with_signals({"voice": Signal(voice.values.double() if severity else voice.values, voice.mask)})


def nothing(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    return batch


def shrinking(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    """Less at a larger severity."""
    return noisy(batch, 0.1 / severity, generator) if severity else batch


def constant(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    """The same at every severity but 0."""
    return noisy(batch, 1.0, generator) if severity else batch


def peaked(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    """Most at half of the severity."""
    return noisy(batch, severity * max(0.0, 0.52 - severity), generator)


def first_half(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    """Spares the second half of the rows."""
    voice, other = batch.signals["voice"], noisy(batch, severity, generator).signals["voice"]
    hit = (torch.arange(len(batch)) < len(batch) // 2).reshape(-1, 1, 1)
    return batch.with_signals({"voice": Signal(torch.where(hit, other.values, voice.values), voice.mask)})


def one_victim(batch: Batch, severity: float, generator: torch.Generator) -> Batch:
    """Changes one row, always the same."""
    voice, other = batch.signals["voice"], noisy(batch, severity, generator).signals["voice"]
    hit = (torch.arange(len(batch)) == int(voice.present.nonzero()[0])).reshape(-1, 1, 1)
    return batch.with_signals({"voice": Signal(torch.where(hit, other.values, voice.values), voice.mask)})


def test_a_lawful_corruption_passes() -> None:
    check_corruption(Broken(change=noisy))
    check_corruption(Broken(change=deterministic), deterministic=True)


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (always, "severity 0 is the identity"),
        (in_place, "the input batch stays as it is"),
        (global_generator, "the global generator is not touched"),
        (deterministic, "another generator state"),
        (invents, "voice: a step that does not exist is not invented"),
        (under_the_mask, "voice: values are 0 where the mask is False"),
        (mixes_rows, "the content of one row does not reach another"),
        (moves_target, "target stays as it is"),
        (widens, "voice: values keep shape and type"),
        (nothing, "severity 0.5 changes something"),
        (shrinking, "growth: a larger severity changes more"),
        (constant, "growth: a larger severity changes more"),
        (peaked, "growth: a larger severity changes more"),
        (first_half, "reach: rows"),
        (one_victim, "reach: rows"),
    ],
)
def test_a_broken_law_is_named(change: Change, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_corruption(Broken(change=change))


def test_a_corruption_that_accepts_any_severity_is_caught() -> None:
    class Lax(Broken):
        def __call__(self, batch: Batch, severity: float, generator: torch.Generator) -> Batch:
            return self.change(batch, severity, generator)

    with pytest.raises(AssertionError, match=r"severity -0\.1 is refused"):
        check_corruption(Lax(change=noisy))


def test_a_fit_that_reads_test_rows_is_caught() -> None:
    class Peeks(Broken):
        def fitted(self, dataset: Dataset) -> Corruption:
            scale = float(dataset.target.std())
            fit = Peeks(change=self.change)
            fit.change = lambda batch, severity, generator: noisy(batch, severity * scale, generator)
            return fit

        def __repr__(self) -> str:
            return "Peeks()"

    with pytest.raises(AssertionError, match="fitted reads the training rows only"):
        check_corruption(Peeks(change=noisy))

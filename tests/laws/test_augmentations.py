"""Every registered augmentation keeps the laws; broken ones are caught."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from deconfound.augmentation import Augmentation
from deconfound.augmentations.noise import Noise
from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Task
from deconfound.registry import build, names
from deconfound.testing import check_augmentation


@pytest.mark.parametrize("task", [Task.regression(), Task.classification(("a", "b", "c"))], ids=lambda task: task.kind)
@pytest.mark.parametrize("name", names("augmentations"))
def test_laws_hold(name: str, task: Task) -> None:
    check_augmentation(build("augmentations", name), task=task)


class Broken(Augmentation):
    """Noise with something done before or after."""

    def __init__(self, change: Callable[[list[tuple[float, Batch]], Batch], list[tuple[float, Batch]]]) -> None:
        self.change = change

    def __call__(self, batch, backbone, generator):
        return self.change(Noise()(batch, backbone, generator), batch)


def heavy(made, original):
    return [(2.0, batch) for _, batch in made]


def negative(made, original):
    return [(1.5, made[0][1]), (-0.5, made[0][1])]


def turned(made, original):
    return [(1.0, made[0][1].select(torch.arange(len(original)).flip(0)))]


def other_rooms(made, original):
    return [(1.0, replace(made[0][1], env=1 - original.env))]


def empty(made, original):
    return [(1.0, made[0][1].without(*original.signals))]


def invented(made, original):
    (_, batch) = made[0]
    signals = {n: Signal(s.values + 1, s.mask) for n, s in batch.signals.items()}
    return [(1.0, batch.with_signals(signals))]


def in_place(made, original):
    original.target.mul_(2)
    return made


def infinite(made, original):
    (_, batch) = made[0]
    signals = {n: Signal(s.values / 0.0, s.mask).keep(s.mask) for n, s in batch.signals.items()}
    return [(1.0, batch.with_signals(signals))]


def diced(made, original):
    signal = made[0][1].signals["audio"]
    more = Signal(signal.values + torch.rand(()), signal.mask).keep(signal.mask)
    return [(1.0, made[0][1].with_signals({"audio": more}))]


def nothing(made, original):
    return [(1.0, original)]


def one_hot(made, original):
    return [(1.0, replace(made[0][1], target=original.target.double()))]


def first_rows(made, original):
    """The last row stays as it is."""
    (_, batch) = made[0]
    last = torch.arange(len(original)).unsqueeze(1) == len(original) - 1
    signals = {}
    for name, signal in original.signals.items():
        other = batch.signals[name]
        stays = last.reshape(-1, *[1] * (signal.values.ndim - 1))
        signals[name] = Signal(
            torch.where(stays, signal.values, other.values), torch.where(last, signal.mask, other.mask)
        )
    return [(1.0, batch.with_signals(signals))]


def negated_labels(made, original):
    return [(1.0, replace(made[0][1], target=-original.target))]


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (heavy, "weights sum to 1"),
        (negative, "weights are not negative"),
        (turned, "row numbers stay"),
        (other_rooms, "environments stay"),
        (empty, "keeps one"),
        (invented, "0 where the mask is False"),
        (in_place, "the original batch stays"),
        (infinite, "finite"),
        (diced, "global generator|same generator state"),
        (nothing, "another generator state"),
        (one_hot, "target keeps shape and type"),
        (first_rows, r"reach: rows \[11\] never change"),
        (negated_labels, "learning: 20 steps"),
    ],
)
def test_a_broken_augmentation_is_caught(change, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_augmentation(Broken(change))

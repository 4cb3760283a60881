"""Every registered extractor keeps the laws; broken ones are caught."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from deconfound.extraction.decode import Sound
from deconfound.extraction.extractor import Extractor
from deconfound.extraction.raw import SampleError
from deconfound.registry import build, names
from deconfound.testing import check_extractor

ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "image-vector": [{}, {"places": True}],
    "speech-segments": [{}, {"detector": "silero"}],
    "egemaps": [{"accept_licence": True}, {"accept_licence": True, "whole": False}],
    **{name: [{}, {"times": True}] for name in ("log-mel", "mfcc", "pitch", "frames")},
}
NEEDS = {"egemaps": "opensmile", "silero": "silero_vad"}
CASES = [(name, arguments) for name in names("extractors") for arguments in ARGUMENTS.get(name, [{}])]


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_laws_hold(name: str, arguments: dict[str, Any]) -> None:
    package = NEEDS.get(arguments.get("detector", name))
    if package is not None and find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed")
    check_extractor(build("extractors", name, **arguments))


class Loudness(Extractor):
    """A lawful extractor: the loudness of each second."""

    kind = "audio"
    most_seconds = 4.0

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return [self.one(sound) for sound in samples]

    def one(self, sound: Sound) -> np.ndarray:
        steps = np.array_split(sound.samples[: 4 * sound.rate], max(1, min(4, len(sound.samples) // sound.rate)))
        return np.array([[np.abs(part).mean()] for part in steps], dtype=np.float32)


def test_a_small_extractor_keeps_the_laws() -> None:
    check_extractor(Loudness())


class Doubles(Loudness):
    def one(self, sound: Sound) -> np.ndarray:
        return super().one(sound).astype(np.float64)


class NotFinite(Loudness):
    def one(self, sound: Sound) -> np.ndarray:
        return np.log(super().one(sound) * 0)


class OfItsBatch(Loudness):
    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        arrays = super().extract(samples)
        return [array - sum(other.mean() for other in arrays) for array in arrays]


class Random(Loudness):
    def one(self, sound: Sound) -> np.ndarray:
        return super().one(sound) + np.float32(np.random.default_rng().random())


class ChangesSamples(Loudness):
    def one(self, sound: Sound) -> np.ndarray:
        values = super().one(sound)
        sound.samples[:] = 0
        return values


class OwnWidth(Loudness):
    def one(self, sound: Sound) -> np.ndarray:
        return super().one(sound).T


class FailsOnOne(Loudness):
    def one(self, sound: Sound) -> np.ndarray:
        return super().one(sound[1:] if len(sound.samples) == 1 else sound)  # type: ignore[index]


class Reads(Loudness):
    most_seconds = 1.0


class FewerRows(Loudness):
    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        return super().extract(samples)[:-1]


class NewModel(Loudness):
    calls = 0

    def model(self) -> dict[str, str]:
        self.calls += 1
        return {"model": str(self.calls)}


class RefusesShort(Loudness):
    """Lawful: too short a sample is an error of the sample."""

    def one(self, sound: Sound) -> np.ndarray:
        if len(sound.samples) < 1000:
            raise SampleError("is too short")
        return super().one(sound)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Doubles, "an array is float32"),
        (NotFinite, "all values are finite"),
        (OfItsBatch, "does not depend on the other samples"),
        (Random, "the same samples give the same arrays"),
        (ChangesSamples, "the samples stay as they are"),
        (OwnWidth, "one shape of a step"),
        (FailsOnOne, "a short sample gives an array or SampleError"),
        (Reads, "nothing beyond most_seconds = 1 is read"),
        (FewerRows, "one array per sample"),
        (NewModel, "the same each time"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")  # of NotFinite
def test_a_broken_extractor_is_caught(broken: type[Extractor], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_extractor(broken())


def test_samples_may_be_refused_and_given() -> None:
    check_extractor(RefusesShort())
    check_extractor(Loudness(), samples=[Sound(np.full(size, 0.1, np.float32), 100) for size in (100, 250, 400)])

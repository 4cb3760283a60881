"""`egemaps`: the 88 measures of a voice of the Geneva Minimalistic Acoustic Parameter Set, or its 25 over time."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from deconfound.errors import SpecError
from deconfound.extraction.decode import Sound, needs
from deconfound.extraction.extractor import Extractor
from deconfound.extraction.raw import SampleError
from deconfound.extraction.spectra import RATE, MostSeconds, resample

LICENCE = (
    "openSMILE, which computes eGeMAPS, and its features are for research, teaching and private use only, not for "
    "products (audEERING research licence, https://www.audeering.com/research/opensmile)"
)


class Egemaps(Extractor):
    """(1, 88) float32 of a whole recording, or (T, 25), 100 steps a second (Eyben et al., 2016; eGeMAPSv02).

    openSMILE, which computes it, and its features are for research, teaching and private use only: read the licence of
    audEERING, and say that you did with `accept_licence`.
    """

    kind = "audio"
    batch = 1

    def __init__(
        self,
        *,
        accept_licence: Annotated[
            bool, Field(description="you have read the licence of openSMILE: research, teaching and private use only")
        ] = False,
        whole: Annotated[bool, Field(description="88 measures of the whole recording, else 25 over time")] = True,
        most_seconds: MostSeconds = 60.0,
    ) -> None:
        self.accepted, self.whole, self.most_seconds = accept_licence, whole, most_seconds

    def model(self) -> dict[str, str]:
        if not self.accepted:
            raise SpecError(
                f"egemaps: {LICENCE}; if you accept that, set accept_licence = true, else use log-mel or mfcc"
            )
        return {"model": f"opensmile {_opensmile().__version__}"}

    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        self.model()
        return [self._features(sound) for sound in samples]

    def _features(self, sound: Sound) -> np.ndarray:
        samples = resample(sound)[: round(self.most_seconds * RATE)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a recording that is too short, which is NaN then
            values = _measure(self.whole).process_signal(samples, RATE).to_numpy(dtype=np.float32)
        if not np.isfinite(values).all():
            raise SampleError("is too short for eGeMAPS")
        return values


@lru_cache(maxsize=2)
def _measure(whole: bool) -> Any:
    package = _opensmile()
    level = package.FeatureLevel.Functionals if whole else package.FeatureLevel.LowLevelDescriptors
    return package.Smile(feature_set=package.FeatureSet.eGeMAPSv02, feature_level=level)


def _opensmile() -> Any:
    try:
        return import_module("opensmile")
    except ImportError as error:
        raise needs("opensmile", "egemaps") from error

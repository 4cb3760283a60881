"""`Extractor`: turns raw samples of one kind into arrays."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from deconfound.errors import SpecError
from deconfound.extraction.kinds import RawKind
from deconfound.registry import get_class, validate_arguments

DEFAULTS: dict[RawKind, str] = {"text": "sentence", "image": "image-vector", "audio": "log-mel", "video": "frames"}
"""Kind → extractor where none is named."""


class Extractor(ABC):
    """Base of all extractors. A subclass takes its arguments as keywords, and loads models when first used.

    A module of `deconfound.extraction.extractors` is the extractor of its name; another package adds one with an entry point
    of the group `deconfound.extractors`.
    """

    kind: ClassVar[RawKind]
    """What it reads."""
    batch: ClassVar[int] = 32
    """Samples that are given at once."""
    most_seconds: float = math.inf
    """Seconds of a recording that it reads; no more are decoded."""

    @abstractmethod
    def extract(self, samples: Sequence[Any]) -> list[np.ndarray]:
        """One (T_i, *F) array per sample, float32 or, of tokens, (T_i,) int64; T_i = 1 for a vector or an image.

        T_i = 0 says that the sample holds none of what is looked for; its row lacks the modality.

        Args:
            samples: B samples as `deconfound.extraction.decode.decode` reads them.

        Raises:
            SampleError: none of a batch of one can be used.
            DataError: a package or model is missing.
        """

    def model(self) -> dict[str, str]:
        """Name and checksum of the pretrained model, empty without one: new rows must be read with the same."""
        return {}


def extractor_of(kind: RawKind, choice: dict[str, Any] | None, what: str) -> tuple[Extractor, dict[str, Any]]:
    """The extractor that is asked for, and its name with all of its arguments.

    Raises:
        SpecError: no such extractor, one of another kind, or arguments it does not have.
    """
    choice = {"name": DEFAULTS[kind]} if choice is None else choice
    name = str(choice.get("name"))
    component = get_class("extractors", name)
    if component.kind != kind:
        raise SpecError(
            f"{what}: the extractor {name!r} reads {component.kind}, the column holds {kind}; choose another"
        )
    arguments = validate_arguments("extractors", name, {key: value for key, value in choice.items() if key != "name"})
    return component(**arguments), {"name": name, **arguments}

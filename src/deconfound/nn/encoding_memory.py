"""`EncodingMemory`: features of signals that several batches share, so that encoders read each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor

from deconfound.data.signal import Batch, Signal

_Key = tuple[str, int, int]


class EncodingMemory:
    """Empty outside of `remembering`; inside, the features of the signals of a few batches.

    A signal is known by its modality and its tensors. They must not be written to while they are remembered, and the
    encoders must be in eval mode and keep their weights.
    """

    def __init__(self) -> None:
        self._signals: dict[_Key, Signal] = {}  # kept alive, or a new tensor could take the place of an old one
        self._features: dict[_Key, Tensor] = {}

    @contextmanager
    def remembering(self, *batches: Batch) -> Iterator[None]:
        """Remember the features of all signals of these batches until the block ends."""
        self._signals = {_key(name, signal): signal for batch in batches for name, signal in batch.signals.items()}
        try:
            yield
        finally:
            self._signals, self._features = {}, {}

    def recall(self, signals: Mapping[str, Signal]) -> dict[str, Tensor]:
        """Modality → (B, H) features of the signals that are known, in tensors of their own."""
        if not self._features:
            return {}
        keys = {name: _key(name, signal) for name, signal in signals.items()}
        return {name: self._features[key].clone() for name, key in keys.items() if key in self._features}

    def keep(self, signals: Mapping[str, Signal], features: Mapping[str, Tensor]) -> None:
        """Keep (B, H) features of those signals that are to be remembered."""
        if not self._signals:
            return
        for name, values in features.items():
            key = _key(name, signals[name])
            if key in self._signals:
                self._features[key] = values.clone()


def _key(name: str, signal: Signal) -> _Key:
    return name, id(signal.values), id(signal.mask)

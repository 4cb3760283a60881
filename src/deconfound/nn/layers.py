"""Small building blocks shared by encoders, fusions and methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from deconfound.data.signal import Signal


def module_key(name: str) -> str:
    """A modality's name as `nn.ModuleDict` accepts it: no dot, and not an attribute such as "keys" or "type"."""
    name = name.replace(".", "/") or "_"
    return f"{name}_" if hasattr(nn.ModuleDict, name) or name == "training" else name


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """The module and its parts in eval mode; afterwards each is as it was."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def encode_each(encoders: nn.ModuleDict, signals: Mapping[str, Signal]) -> dict[str, Tensor]:
    """Standardised signals → modality → (B, H) features, 0 in rows where the modality is absent."""
    return {
        name: encoders[module_key(name)](signal.values, signal.mask).masked_fill(~signal.present[:, None], 0)
        for name, signal in signals.items()
    }


def mlp(inputs: int, hidden: int, outputs: int, *, depth: int, dropout: float) -> nn.Sequential:
    """`depth` linear layers, each but the last followed by GELU and dropout: (..., inputs) → (..., outputs)."""
    layers: list[nn.Module] = []
    for _ in range(depth - 1):
        layers += [nn.Linear(inputs, hidden), nn.GELU(), nn.Dropout(dropout)]
        inputs = hidden
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the steps that exist: (B, T, D) and (B, T) bool → (B, D); 0 for a row without any step."""
    weight = mask.to(values.dtype).unsqueeze(2)
    return (values * weight).sum(1) / weight.sum(1).clamp(min=1)

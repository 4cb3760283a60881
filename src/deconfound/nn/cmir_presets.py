"""Hyper-parameters of the CmIR paper by corpus (its appendix), each as part of a specification."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def _preset(
    *,
    batch: int,
    rate: float,
    environments: int,
    strength: float,
    weights: tuple[float, float, float],
    widths: tuple[int, int],
    off_diagonal: float,
) -> dict[str, dict[str, Any]]:
    """K, α(1), (λ1, λ2, λ3), (d, d′) and α of a corpus. Whether its λ's weigh sums or means the paper does not say."""
    method = {"environments": environments, "strength": strength, "hidden": widths[1], "off_diagonal": off_diagonal}
    method |= dict(zip(("invariance", "decorrelation", "reconstruction"), weights, strict=True))
    train = {"batch_size": batch, "learning_rate": rate}
    return {"method": method, "train": train, "backbone": {"hidden": widths[0]}}


PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "mosi": _preset(
            batch=48,
            rate=1e-5,
            environments=1,
            strength=0.1,
            weights=(0.1, 0.001, 0.05),
            widths=(150, 256),
            off_diagonal=1,
        ),
        "mosei": _preset(
            batch=50, rate=1e-5, environments=5, strength=1, weights=(0.1, 0.1, 0.01), widths=(150, 128), off_diagonal=1
        ),
        "ch-sims-v2": _preset(
            batch=50,
            rate=5e-4,
            environments=2,
            strength=0.1,
            weights=(0.01, 0.01, 0.1),
            widths=(100, 100),
            off_diagonal=0.01,
        ),
        "mustard": _preset(
            batch=32,
            rate=2e-5,
            environments=4,
            strength=0.1,
            weights=(0.05, 0.01, 0.05),
            widths=(128, 48),
            off_diagonal=0.1,
        ),
        "ur-funny": _preset(
            batch=64,
            rate=7e-6,
            environments=2,
            strength=0.1,
            weights=(0.001, 0.01, 0.01),
            widths=(120, 120),
            off_diagonal=0.1,
        ),
        "mosi-ood": _preset(
            batch=48,
            rate=1e-5,
            environments=4,
            strength=0.1,
            weights=(0.01, 0.01, 0.01),
            widths=(150, 150),
            off_diagonal=1,
        ),
    }
)
"""Corpus → its part of a specification; d is the width of the features, d′ that of the hidden layers."""

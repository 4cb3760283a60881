"""Known factors of synthetic data against the parts of the modality that carries them."""

from __future__ import annotations

import numpy as np

from deconfound.diagnostics.matching import dci, match_dimensions
from deconfound.diagnostics.recovery import recovery
from deconfound.diagnostics.result import FactorRecovery, ModalityDci, PartMatching
from deconfound.diagnostics.rows import ALL, Observed


def blocks(observed: Observed) -> dict[str, dict[str, np.ndarray]]:
    """Modality → factor → (N, d). A latent "C/m1" is factor C of modality m1; one without a modality is of "all"."""
    by_modality: dict[str, dict[str, np.ndarray]] = {}
    for name, values in observed.latents.items():
        factor, _, modality = name.partition("/")
        by_modality.setdefault(modality if modality in observed.present else ALL, {})[factor] = values
    return by_modality


def recovered(observed: Observed, seed: int) -> list[FactorRecovery]:
    """R² of every factor from every part of its modality, and from every other factor, as a pure part would have."""
    scores = []
    for modality, factors in blocks(observed).items():
        rows = observed.block("predictive", modality)[1]
        true = {name: values[rows] for name, values in factors.items()}
        parts = {part: observed.block(part, modality)[0] for part in observed.parts}
        for (source, factor), r2 in recovery({**true, **parts}, true, seed=seed).items():
            if source != factor:
                scores.append(FactorRecovery(source, factor, modality, r2.linear, r2.kernel, r2.rows))
    return scores


def matchings(observed: Observed, seed: int) -> list[PartMatching]:
    """MCC of every part with every factor of its modality."""
    scores = []
    for modality, factors in blocks(observed).items():
        for part in observed.parts:
            values, rows = observed.block(part, modality)
            scores += [
                PartMatching(part, factor, modality, match_dimensions(values, true[rows], seed=seed))
                for factor, true in factors.items()
            ]
    return scores


def disentangled(observed: Observed, seed: int) -> list[ModalityDci]:
    """DCI of all dimensions of each modality about all its factors."""
    scores = []
    for modality, factors in blocks(observed).items():
        rows = observed.block("predictive", modality)[1]
        code = np.concatenate([observed.block(part, modality)[0] for part in observed.parts], axis=1)
        true = np.concatenate([values[rows] for values in factors.values()], axis=1)
        scores.append(ModalityDci(modality, dci(code, true, seed=seed)))
    return scores

"""Which modality a method treats as predominant: named, or measured once in training and then frozen."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset, evenly_spaced
from deconfound.data.one_label import one_label_kind
from deconfound.nn.backbone import Backbone
from deconfound.statistics.predominance import (
    BALANCED,
    Predominance,
    linear_outputs,
    row_scores,
    shapley,
    subsets,
    verdict,
)

MOST_ROWS = 2048
"""Most rows of each split that are used, evenly spaced."""
MOST_MODALITIES = 5
"""With more modalities no contributions are measured: they need every subset."""
_CHUNK, _FEW = 512, 30


class PredominanceWarning(RuntimeWarning):
    """The predominant modality is another one on other rows."""


class Predominant(nn.Module):
    """Shares with which each modality takes the predominant part: 1 for one, or equal ones; in buffers.

    With "auto" all modalities share the part until `measure`: then the best on the validation rows takes it alone, or
    shares it with those whose gap to it the rows cannot tell from 0 ("balanced"). After that nothing changes it.

    Args:
        names: of the M modalities.
        chosen: one of them, or "auto".
    """

    share: Tensor
    decided: Tensor
    contribution: Tensor

    def __init__(self, names: Sequence[str], chosen: str) -> None:
        super().__init__()
        self.names, self.auto = tuple(names), chosen == "auto"
        share = [1 / len(names) if self.auto else float(name == chosen) for name in names]
        self.register_buffer("share", torch.tensor(share))
        self.register_buffer("decided", torch.tensor(not self.auto))
        self.register_buffer("contribution", torch.zeros(len(names)))

    @property
    def active(self) -> dict[str, float]:
        """Modality → share, of those that take part."""
        return {name: share for name, share in zip(self.names, self.share.tolist(), strict=True) if share > 0}

    def monitors(self) -> dict[str, Tensor]:
        """() share of the predominant part and contribution of every modality, by name."""
        values = zip(self.names, self.share.unbind(), self.contribution.unbind(), strict=True)
        return {
            f"{monitor}/{n}": v
            for n, *both in values
            for monitor, v in zip(("predominant", "contribution"), both, strict=True)
        }

    @torch.no_grad()
    def measure(self, backbone: Backbone, development: Dataset) -> None:
        """Decide by linear heads on the features of each modality, fitted on training rows, judged on validation rows.

        Warns `PredominanceWarning` if training rows (each half judged by heads of the other), or the validation rows of
        one environment (of 30 or more), clearly have another predominant modality.
        """
        kind, outputs = one_label_kind(backbone.task, "predominance"), backbone.task.outputs
        train, valid = (evenly_spaced(development.rows(split), MOST_ROWS) for split in ("train", "valid"))
        known, new = (features_of(backbone, development, rows, self.share.device) for rows in (train, valid))
        y, y_new = development.target[train].numpy(), development.target[valid].numpy()

        def judged(
            fit: np.ndarray | slice, rows: Mapping[str, np.ndarray], target: np.ndarray
        ) -> dict[str, np.ndarray]:
            heads = {n: linear_outputs(known[n][fit], y[fit], rows[n], kind, outputs) for n in self.names}
            return {name: row_scores(output, target, kind) for name, output in heads.items()}

        scores = judged(slice(None), new, y_new)
        clusters = development.groups(*development.group)[0][valid].numpy() if development.group else None
        result = verdict(scores, clusters)
        self.share.copy_(torch.tensor([float(name in result.leaders) / len(result.leaders) for name in self.names]))
        self.decided.fill_(True)
        half = np.random.default_rng(0).permutation(len(y)) % 2 == 0
        folds = [
            judged(half == part, {n: v[half != part] for n, v in known.items()}, y[half != part]) for part in (0, 1)
        ]
        others = {"the training rows": verdict({n: np.concatenate([f[n] for f in folds]) for n in self.names})}
        self._warn(result, others | _by_environment(scores, development, valid))

    def _warn(self, result: Predominance, others: Mapping[str, Predominance]) -> None:
        conflicts = [
            f"{other.predominant} on {where}"
            for where, other in others.items()
            if BALANCED not in (result.predominant, other.predominant) and other.predominant != result.predominant
        ]
        if conflicts:
            warnings.warn(
                f"the predominant modality is {result.predominant} on the validation rows but "
                f"{', '.join(conflicts)}; name one with 'predominant' if you know better",
                PredominanceWarning,
                stacklevel=3,
            )

    @torch.no_grad()
    def contribute(self, backbone: Backbone, development: Dataset) -> None:
        """Shapley value of each modality for the backbone's own prediction on validation rows, into `contribution`."""
        if len(self.names) > MOST_MODALITIES:
            return
        kind = one_label_kind(backbone.task, "predominance")
        rows = evenly_spaced(development.rows("valid"), _CHUNK)
        batch = development.batch(rows).to(self.share.device)
        features, target = backbone.encode(batch), batch.target.cpu().numpy()
        scores = {}
        for subset in subsets(self.names):
            present = {n: rows & (n in subset) for n, rows in batch.present.items()}
            shown = {n: values * present[n].unsqueeze(1) for n, values in features.items()}
            output = backbone.predict(shown, present).float().cpu().numpy()
            scores[subset] = row_scores(output, target, kind)
        values = shapley(scores, self.names)
        self.contribution.copy_(torch.tensor([float(values[name].mean()) for name in self.names]))


@torch.no_grad()
def features_of(
    backbone: Backbone, dataset: Dataset, rows: Tensor, device: torch.device | str
) -> dict[str, np.ndarray]:
    """Modality → (R, H_m) float64 features of the encoders."""
    parts = [backbone.encode(dataset.batch(part).to(device)) for part in rows.split(_CHUNK)]
    return {name: torch.cat([part[name] for part in parts]).double().cpu().numpy() for name in parts[0]}


def _by_environment(scores: Mapping[str, np.ndarray], development: Dataset, rows: Tensor) -> dict[str, Predominance]:
    if not development.environment:
        return {}
    number, labels = development.groups(*development.environment)
    env = number[rows].numpy()
    wide = [e for e in np.unique(env).tolist() if (env == e).sum() >= _FEW]
    if len(wide) < 2:
        return {}
    return {labels[e]: verdict({name: values[env == e] for name, values in scores.items()}) for e in wide}

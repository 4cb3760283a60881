"""Predictions of single modalities: by heads of their own, or by a fusion that is shown one modality alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from deconfound.data.dataset import Dataset
from deconfound.data.signal import Batch
from deconfound.nn.backbone import Backbone
from deconfound.nn.inference import apply_to_batches
from deconfound.nn.layers import module_key
from deconfound.objectives.averaging import risks_of_each

_CHUNK = 512


class UnimodalHeads(nn.Module):
    """One head per modality, each an MLP of the size of the backbone's head.

    Args:
        backbone: gives widths and sizes; it is not kept.
        names: modalities that get a head; all of them if left out.
    """

    def __init__(self, backbone: Backbone, names: Sequence[str] | None = None) -> None:
        super().__init__()
        self.names = tuple(backbone.widths if names is None else names)
        self.heads = nn.ModuleDict({module_key(name): backbone.new_head(backbone.widths[name]) for name in self.names})

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """{(B, H_m)} → (M, B, outputs) predictions or logits, in the order of `names`."""
        return torch.stack([self.heads[module_key(name)](features[name]) for name in self.names])

    def presence(self, present: Mapping[str, Tensor]) -> Tensor:
        """(M, B) bool, in the order of `names`."""
        return torch.stack([present[name] for name in self.names])


def alone(backbone: Backbone, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
    """Predictions of fusion and head from each modality when the others are absent.

    Args:
        features: modality → (B, H_m).
        present: modality → (B,) bool.

    Returns:
        (M, B, outputs) in the order of the backbone's modalities; where a modality is absent, the prediction without input.
    """
    names = list(features)
    count = len(names)
    only = {
        name: torch.cat([rows if m == n else torch.zeros_like(rows) for m in range(count)])
        for n, (name, rows) in enumerate((name, present[name]) for name in names)
    }
    copies = {
        name: values.repeat(count, 1).masked_fill(~only[name].unsqueeze(1), 0) for name, values in features.items()
    }
    return backbone.predict(copies, only).unflatten(0, (count, -1))


def mean_risks(module: nn.Module, predict: Callable[[Batch], Tensor], data: Dataset, rows: Tensor) -> Tensor:
    """Mean risk of several predictions over rows of a dataset, in eval mode, on the device of the module.

    Args:
        module: is in eval mode meanwhile.
        predict: batch → (V, B, outputs).
        rows: (R,) int64.

    Returns:
        (V,) on the CPU.
    """
    batches = (data.batch(chunk) for chunk in rows.split(_CHUNK))

    def summed_risks(batch: Batch) -> Tensor:
        return risks_of_each(data.task, predict(batch).float(), batch.target).double().sum(1).cpu()

    return sum(apply_to_batches(module, batches, summed_risks), torch.zeros(())) / len(rows)


def summands(
    backbone: Backbone, features: Mapping[str, Tensor], present: Mapping[str, Tensor], output: Tensor
) -> Tensor:
    """What each modality adds to a prediction, so that the sum over the modalities is the prediction.

    A linear head on features side by side has the summands W_m h_m + b / M, those of OGM (Peng et al., CVPR 2022, eq. 4). For
    any fusion they are c (ŷ_m − ŷ_0) + ŷ_0 / M with ŷ_m the prediction from modality m alone, ŷ_0 that without any, and M
    the number that the row has. c is fitted by least squares to the rows with the same M, within [1 / M, 1]: it is 1 where
    the fusion adds and 1 / M where it averages.

    Args:
        features, present: as in `alone`.
        output: (B, outputs) the prediction from all modalities.

    Returns:
        (M, B, outputs) in the order of the backbone's modalities; exact in both cases above.
    """
    nothing = {name: torch.zeros_like(rows) for name, rows in present.items()}
    none = backbone.predict({name: torch.zeros_like(values) for name, values in features.items()}, nothing)
    effects = alone(backbone, features, present) - none
    number = torch.stack([present[name] for name in features]).sum(0)  # (B,)
    total, joint = effects.sum(0).float(), (output - none).float()
    sums = total.new_zeros(2, 1 + len(features))
    sums = sums.index_add(1, number, torch.stack([(joint * total).sum(1), total.square().sum(1)]))
    fitted = (sums[0] / sums[1].clamp(min=torch.finfo(sums.dtype).tiny))[number]
    share = 1 / number.clamp(min=1).to(fitted.dtype)
    factor = torch.maximum(fitted.clamp(max=1), share)
    return factor.unsqueeze(1) * effects + share.unsqueeze(1) * none

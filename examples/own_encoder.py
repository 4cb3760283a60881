"""Your own encoder: any `nn.Module` from (values, mask) to one vector per row, given to `fit` under its modality.

Run it with: python examples/own_encoder.py
"""

from functools import partial

import torch
from torch import Tensor, nn

import deconfound as dc


class Attention(nn.Module):
    """A mean over the steps that exist, weighted by one learned query."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(features, 1)
        self.value = nn.Linear(features, width)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) standardised values and (B, T) mask → (B, width); finite for a row without any step."""
        score = self.key(values).squeeze(2).masked_fill(~mask, -1e9)
        weight = torch.softmax(score, dim=1) * mask
        return (weight.unsqueeze(2) * self.value(values)).sum(1)


data = dc.synthetic(rows=300, steps=6, modalities=2)
encoders = {"m1": partial(Attention, 10, 32)}  # called by fit, so that its seed decides the first weights
run = dc.fit(data, "erm", out="runs/attention", encoders=encoders, train={"epochs": 5})
records = dc.evaluate(run, dataset=data, encoders=encoders)  # a new module takes the trained weights
print(records[records["metric"] == "mse"].groupby("scenario", sort=False)["value"].mean().round(3))

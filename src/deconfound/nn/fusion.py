"""`Fusion`: joins the features of all modalities, any of which may be absent in any row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn


class Fusion(nn.Module, ABC):
    """Base of all fusions. A subclass takes (widths, outputs) and keyword-only hyper-parameters, and sets `width`.

    Args:
        widths: modality name → H_m, the width of its features.
        outputs: the width of the task's output, for fusions of predictions.

    Attributes:
        width: width of the output of `forward`.
        predicts: True if `forward` returns the task's output itself, so that no head follows.
    """

    width: int
    predicts: bool = False

    def __init__(self, widths: Mapping[str, int], outputs: int) -> None:
        super().__init__()
        self.widths = dict(widths)
        self.outputs = outputs

    @abstractmethod
    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """{(B, H_m)} features and {(B,)} bool presence → (B, width); an absent modality does not influence its row."""

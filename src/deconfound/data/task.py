"""The inputs (`Modality`) and the prediction task (`Task`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from deconfound.errors import DataError

Kind = Literal["vector", "sequence", "image", "tokens"]


@dataclass(frozen=True)
class Modality:
    """The kind and shape of one modality.

    Args:
        name: modality name, such as "text".
        steps: T, the padded number of steps; 1 for a static vector or a single image.
        shape: F, the shape of one step: (D,) features, (H, W) or (channels, H, W) images, () integer tokens.
    """

    name: str
    steps: int
    shape: tuple[int, ...]

    @property
    def kind(self) -> Kind:
        """How the modality is encoded by default: "vector", "sequence", "image" or "tokens"."""
        if len(self.shape) == 0:
            return "tokens"
        if len(self.shape) > 1:
            return "image"
        return "vector" if self.steps == 1 else "sequence"

    def __str__(self) -> str:
        return f"{self.name} {self.kind} {'×'.join(map(str, (self.steps, *self.shape)))}"


@dataclass(frozen=True)
class Task:
    """The target, the risk per row, and the metric protocol.

    Args:
        kind: "regression" or "classification".
        classes: class names in the order of their numbers; empty for regression.
        loss: the per-row risk: "mse" or "l1" for regression, "cross-entropy" for classification.
        protocol: name of the metric protocol, such as "mmsa-regression".
        smoothing: share of each label that the cross-entropy spreads over all classes, in [0, 1); for training alone.

    Raises:
        DataError: a classification without two distinct classes, a regression with classes, a loss of the other kind, or a
            smoothing out of range or of a regression.
    """

    kind: Literal["regression", "classification"]
    classes: tuple[str, ...] = ()
    loss: Literal["mse", "l1", "cross-entropy"] = "mse"
    protocol: str = "regression"
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ("regression", "classification"):
            raise DataError(f"a task is 'regression' or 'classification'; got {self.kind!r}")
        classification = self.kind == "classification"
        if classification and (len(self.classes) < 2 or len(set(self.classes)) != len(self.classes)):
            raise DataError(f"a classification needs two or more distinct class names; got {list(self.classes)}")
        if not classification and self.classes:
            raise DataError(f"a regression has no classes; got {list(self.classes)}: leave them out")
        if not 0 <= self.smoothing < 1 or (self.smoothing and not classification):
            raise DataError(
                f"labels of a {self.kind} cannot be smoothed by {self.smoothing:g}; give 0, or classes and below 1"
            )
        if self.loss not in (("cross-entropy",) if classification else ("mse", "l1")):
            raise DataError(
                f"the loss {self.loss!r} does not fit a {self.kind}; choose "
                f"{'cross-entropy' if classification else 'mse or l1'}"
            )

    @classmethod
    def regression(cls, *, loss: Literal["mse", "l1"] = "mse", protocol: str = "regression") -> Task:
        """A regression of one number."""
        return cls("regression", (), loss, protocol)

    @classmethod
    def classification(cls, classes: tuple[str, ...], *, protocol: str = "classification") -> Task:
        """A classification with cross-entropy as its risk."""
        return cls("classification", classes, "cross-entropy", protocol)

    @property
    def outputs(self) -> int:
        """Width of a method's output: 1 for regression, C for classification."""
        return len(self.classes) or 1

    def risk(self, output: Tensor, target: Tensor) -> Tensor:
        """Per-row risk.

        Args:
            output: (B, outputs) predictions or logits.
            target: (B,) as in `Batch`.

        Returns:
            (B,) non-negative: squared or absolute error in target units (squared), or cross-entropy in nats.
        """
        if self.kind == "classification":
            return F.cross_entropy(output, target, reduction="none", label_smoothing=self.smoothing)
        error = output.squeeze(1) - target
        return error.square() if self.loss == "mse" else error.abs()

"""The inputs (`Modality`) and the prediction task (`Task`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from deconfound.errors import DataError

Kind = Literal["vector", "sequence", "image", "tokens"]
TaskKind = Literal["regression", "classification", "multilabel"]
_LOSSES = {"regression": ("mse", "l1"), "classification": ("cross-entropy",), "multilabel": ("bce",)}


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


def scale_shape(modality: Modality) -> tuple[int, ...]:
    """Shape of a modality's mean and standard deviation; it broadcasts against one step.

    (D,) → (D,); (channels, H, W) → (channels, 1, 1); (H, W) → (1, 1); tokens → ().
    """
    shape = modality.shape
    if len(shape) < 2:
        return shape
    return (shape[0] if len(shape) > 2 else 1, *[1] * (len(shape) - 1))


@dataclass(frozen=True)
class Task:
    """The target, the risk per row, and the metric protocol.

    Args:
        kind: "regression", "classification" with one class per row, or "multilabel" with any number of labels per row.
        classes: names of the classes in the order of their numbers, or of the labels; empty for regression.
        loss: the per-row risk: "mse" or "l1" for regression, "cross-entropy" for classification, "bce" for multilabel.
        protocol: name of the metric protocol, such as "mmsa-regression".
        smoothing: share of each label that the cross-entropy spreads over all classes, in [0, 1); for training alone.

    Raises:
        DataError: without two distinct classes or labels, a regression with classes, a loss of another kind, or a smoothing
            out of range or of labels that are no classes.
    """

    kind: TaskKind
    classes: tuple[str, ...] = ()
    loss: Literal["mse", "l1", "cross-entropy", "bce"] = "mse"
    protocol: str = "regression"
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in _LOSSES:
            raise DataError(f"a task is 'regression', 'classification' or 'multilabel'; got {self.kind!r}")
        named = self.kind != "regression"
        if named and (len(self.classes) < 2 or len(set(self.classes)) != len(self.classes)):
            what = "class names" if self.kind == "classification" else "names of labels"
            raise DataError(f"a {self.kind} needs two or more distinct {what}; got {list(self.classes)}")
        if not named and self.classes:
            raise DataError(f"a regression has no classes; got {list(self.classes)}: leave them out")
        if not 0 <= self.smoothing < 1 or (self.smoothing and self.kind != "classification"):
            raise DataError(
                f"labels of a {self.kind} cannot be smoothed by {self.smoothing:g}; give 0, or classes and below 1"
            )
        if self.loss not in _LOSSES[self.kind]:
            raise DataError(
                f"the loss {self.loss!r} does not fit a {self.kind}; choose {' or '.join(_LOSSES[self.kind])}"
            )

    @classmethod
    def regression(cls, *, loss: Literal["mse", "l1"] = "mse", protocol: str = "regression") -> Task:
        """A regression of one number."""
        return cls("regression", (), loss, protocol)

    @classmethod
    def classification(cls, classes: tuple[str, ...], *, protocol: str = "classification") -> Task:
        """A classification with cross-entropy as its risk."""
        return cls("classification", classes, "cross-entropy", protocol)

    @classmethod
    def multilabel(cls, labels: tuple[str, ...], *, protocol: str = "multilabel") -> Task:
        """Any number of these labels per row, with the mean binary cross-entropy over the labels as its risk."""
        return cls("multilabel", labels, "bce", protocol)

    @property
    def outputs(self) -> int:
        """Width of a method's output: 1 for regression, C for classification, L for multilabel."""
        return len(self.classes) or 1

    def probabilities(self, output: Tensor) -> Tensor:
        """(B, outputs) float64 in [0, 1] of (B, outputs) logits: of the classes, which sum to 1, or of each label by itself.

        Raises:
            DataError: a regression, which has none.
        """
        if self.kind == "regression":
            raise DataError("a regression has no probabilities; use predict")
        wide = output.double()
        return wide.sigmoid() if self.kind == "multilabel" else wide.softmax(dim=1)

    def blank_target(self, rows: int) -> Tensor:
        """Zeros of the shape and type of the targets of B rows, for rows whose labels are not known."""
        if self.kind == "multilabel":
            return torch.zeros(rows, len(self.classes))
        return torch.zeros(rows, dtype=torch.int64 if self.kind == "classification" else torch.float32)

    def risk(self, output: Tensor, target: Tensor) -> Tensor:
        """Per-row risk.

        Args:
            output: (B, outputs) predictions or logits.
            target: (B,) or (B, L) as in `Batch`.

        Returns:
            (B,) non-negative: squared or absolute error in target units (squared), cross-entropy in nats, or its mean over
            the labels.
        """
        if self.kind == "multilabel":
            return F.binary_cross_entropy_with_logits(output, target.to(output.dtype), reduction="none").mean(1)
        if self.kind == "classification":
            return F.cross_entropy(output, target, reduction="none", label_smoothing=self.smoothing)
        error = output.squeeze(1) - target
        return error.square() if self.loss == "mse" else error.abs()

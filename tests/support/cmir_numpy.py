"""The loss of the CmIR paper, transcribed to NumPy from its equations: one modality at a time, loops over pairs and rows."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import torch

from deconfound.data.signal import Batch
from deconfound.methods.cmir import CmIR
from support.cmir_small import generator

Array = np.ndarray


def array(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().numpy()


def linear(layer: Any, place: int, x: Array) -> Array:
    """A stacked layer of one modality."""
    return x @ array(layer.weight)[place] + array(layer.bias)[place]


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


class Modality:
    """g_m and r_m of the paper."""

    def __init__(self, split: Any, place: int) -> None:
        self.split, self.place = split, place

    def parts(self, x: Array) -> tuple[Array, Array]:
        first, second = self.split.trunk.layers
        hidden = relu(linear(second, self.place, relu(linear(first, self.place, x))))
        return linear(self.split.invariant, self.place, hidden), linear(self.split.spurious, self.place, hidden)

    def rebuilt(self, invariant: Array, spurious: Array) -> Array:
        first, second = self.split.decoder.layers
        hidden = relu(linear(first, self.place, np.concatenate([invariant, spurious], 1)))
        return linear(self.split.rebuilt, self.place, relu(linear(second, self.place, hidden)))


def nor(x: Array, axis: str) -> Array:
    along = 1 if axis == "rows" else 0
    return (x - x.mean(along, keepdims=True)) / x.std(along, keepdims=True)


def decorrelation(invariant: Array, spurious: Array, axis: str, alpha: float, reduction: str) -> float:
    """Of the C of N × N entries the squared Frobenius norm of diag(C) + α (C − diag C)."""
    count, width = invariant.shape
    c = nor(invariant, axis) @ nor(spurious, axis).T
    if reduction == "sum":
        return float(np.linalg.norm(np.diag(np.diag(c)) + alpha * (c - np.diag(np.diag(c)))) ** 2)
    weights = np.where(np.eye(count, dtype=bool), 1, alpha**2)
    return float((weights * (c / width) ** 2).sum() / weights.sum())


def invariance(views: list[Array], numbers: list[int], same: bool, reduction: str) -> float:
    """L1 over all pairs of views; their mean in units of the mean noise between them, which is 1 for K = 1."""
    pairs = list(combinations(range(len(views)), 2))
    distances = [np.abs(views[i] - views[j]) for i, j in pairs]
    if reduction == "sum":
        return float(sum(distance.sum() for distance in distances))
    noise = [abs(numbers[i] - numbers[j]) if same else float(np.hypot(numbers[i], numbers[j])) for i, j in pairs]
    return float(np.mean([distance.mean() for distance in distances]) / np.mean(noise))


def loss(method: CmIR, batch: Batch, seed: int = 0) -> dict[str, float]:
    """All terms and their weighted sum; every modality present in every row, regression, concatenation, dropout 0."""
    count, k = len(batch), method.noise.environments
    features = method.backbone.encode_signals(method.backbone.standardise(batch))
    draw, weights = generator(seed), method.weights
    terms = {"invariance": 0.0, "decorrelation": 0.0, "reconstruction": 0.0}
    clean: list[Array] = []
    for group in method.splitter.members():
        width, draws = features[group.names[0]].shape[1], 1 if method.noise.same_noise else k
        epsilon = array(torch.randn(len(group.names), draws * count, width, generator=draw))
        for place, name in enumerate(group.names):
            x, modality = array(features[name]), Modality(group.split, place)
            noise = epsilon[place].reshape(draws, count, width)
            views = [x, *(x + method.noise.strength * e * noise[(e - 1) % draws] for e in range(1, k + 1))]
            parts = [modality.parts(view) for view in views]
            invariant, spurious = parts[0]
            error = (x - modality.rebuilt(invariant, spurious)) ** 2
            terms["invariance"] += invariance(
                [part[0] for part in parts], list(range(k + 1)), method.noise.same_noise, weights.reduce_invariance
            )
            kind = method.independence
            terms["decorrelation"] += decorrelation(
                invariant, spurious, kind.decorrelate, kind.off_diagonal, weights.reduce_decorrelation
            )
            terms["reconstruction"] += error.sum() if weights.reduce_reconstruction == "sum" else error.mean()
            clean.append(invariant)
    output = np.concatenate(clean, 1)
    for layer in method.backbone.head:
        output = (
            relu(output) if isinstance(layer, torch.nn.ReLU) else output @ array(layer.weight).T + array(layer.bias)
        )
    terms["prediction"] = float(((output[:, 0] - array(batch.target)) ** 2).mean())
    terms["total"] = terms["prediction"] + sum(
        getattr(weights, name) * terms[name] for name in terms if name[0] in "idr"
    )
    return terms

"""`TreesModel`: boosted trees fitted by scikit-learn, kept as arrays of nodes and evaluated by PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deconfound.data.task import Task
from deconfound.nn.shallow.fit_linear import constant_output
from deconfound.nn.shallow.model import PooledRows, ShallowModel, joined, mean_risk


@dataclass(frozen=True)
class Boosting:
    """Arguments of the trees, as scikit-learn names and explains them.

    Args:
        iterations: most trees per output.
        learning_rate: share of each tree that is added.
        leaves: most leaves of a tree.
        leaf_rows: fewest training rows in a leaf.
    """

    iterations: int
    learning_rate: float
    leaves: int
    leaf_rows: int


class TreesModel(ShallowModel):
    """base + Σ trees (h_1 … h_M, absence indicators). Nothing but numbers is stored; unused trees are one leaf of 0."""

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor

    def __init__(self, widths: Mapping[str, int], task: Task, boosting: Boosting) -> None:
        super().__init__(widths, task)
        self.boosting = boosting
        shape = (boosting.iterations * task.outputs, 2 * boosting.leaves - 1)
        self.register_buffer("feature", torch.zeros(shape, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("left", torch.zeros(shape, dtype=torch.int32))  # a leaf leads to itself
        self.register_buffer("right", torch.zeros(shape, dtype=torch.int32))
        self.value = nn.Parameter(torch.zeros(shape))
        self.base = nn.Parameter(torch.zeros(task.outputs))

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        x = joined({name: features[name] for name in self.widths}, present).double()
        trees = torch.arange(len(self.feature), device=x.device)
        node = torch.zeros(len(x), len(trees), dtype=torch.int64, device=x.device)
        while True:
            below = x.gather(1, self.feature[trees, node].long()) <= self.threshold[trees, node]
            after = torch.where(below, self.left[trees, node], self.right[trees, node]).long()
            if torch.equal(after, node):
                break
            node = after
        return self.base + self.value[trees, node].unflatten(1, (-1, self.outputs)).sum(dim=1)

    @torch.no_grad()
    def fit(self, train: PooledRows, valid: PooledRows, seed: int) -> None:
        x, others = (joined({n: rows.features[n] for n in self.widths}, rows.present) for rows in (train, valid))
        self._clear()
        self.base.copy_(torch.from_numpy(constant_output(train.target, self.task)))
        target, boosting = train.target.numpy(), self.boosting
        if len(target) < 2 or (self.task.kind == "classification" and len(np.unique(target)) < 2):
            return
        model = _estimator(self.task, boosting, seed).fit(x.double().numpy(), target)
        outputs = self._seen(model)
        count = _best_count(model, others.double().numpy(), valid.target, self.task, self.base.numpy(), outputs)
        self.base[outputs] = torch.from_numpy(np.ravel(model._baseline_prediction)).to(self.base)
        for number, trees in enumerate(model._predictors[:count]):
            for output, tree in zip(outputs, trees, strict=True):
                self._store(number * self.outputs + output, tree.nodes)

    def _clear(self) -> None:
        for part in (self.feature, self.threshold, self.left, self.right, self.value):
            part.zero_()
        own = torch.arange(self.left.shape[1], dtype=torch.int32).expand_as(self.left)
        self.left.copy_(own)
        self.right.copy_(own)

    def _seen(self, model: Any) -> list[int]:
        """The outputs that have trees: for two classes the second; the base of the first is then 0."""
        if self.task.kind == "regression":
            return [0]
        classes = [int(number) for number in model.classes_]
        self.base[classes] = 0
        return classes[1:] if len(classes) == 2 else classes

    def _store(self, tree: int, nodes: np.ndarray) -> None:
        inner, here = nodes["is_leaf"] == 0, np.arange(len(nodes))
        columns = {
            "feature": np.where(inner, nodes["feature_idx"], 0),
            "threshold": np.where(inner, nodes["num_threshold"], 0.0),
            "left": np.where(inner, nodes["left"], here),
            "right": np.where(inner, nodes["right"], here),
            "value": np.where(inner, 0.0, nodes["value"]),
        }
        for name, values in columns.items():
            part = getattr(self, name)
            part[tree, : len(nodes)] = torch.from_numpy(values).to(part.dtype)


def _estimator(task: Task, boosting: Boosting, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    shared: dict[str, Any] = {
        "max_iter": boosting.iterations,
        "learning_rate": boosting.learning_rate,
        "max_leaf_nodes": boosting.leaves,
        "min_samples_leaf": boosting.leaf_rows,
        "early_stopping": False,
        "random_state": seed,
    }
    if task.kind == "classification":
        return HistGradientBoostingClassifier(**shared)
    loss = "absolute_error" if task.loss == "l1" else "squared_error"
    return HistGradientBoostingRegressor(loss=loss, **shared)


def _best_count(model: Any, x: np.ndarray, target: Tensor, task: Task, base: np.ndarray, outputs: Iterable[int]) -> int:
    """Number of iterations with the lowest validation risk, the smaller one in a tie; 0 is not tried."""
    if len(target) == 0:
        return len(model._predictors)
    stages = model.staged_decision_function if task.kind == "classification" else model.staged_predict
    risks = []
    for raw in stages(x):
        output = np.tile(base.astype(np.float64), (len(x), 1))
        output[:, list(outputs)] = raw.reshape(len(x), -1)
        risks.append(mean_risk(task, output, target))
    return int(np.argmin(risks)) + 1

"""A linear problem whose moments are exact, so that what a penalty does to it can be computed without a penalty.

    C ~ (0, 1)      Y = C + N_Y      S = ρ_e Y + N_S      in environment e, three of them

Rows are drawn, then whitened within each environment: their moments are those of the formulas to the last digits. A
predictor is f = a C + b S. Everything asked of it is a polynomial in (a, b) with the coefficients of `Linear.covariance`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from deconfound.data.signal import Batch, Signal
from deconfound.data.task import Modality, Task
from deconfound.method import Loss
from deconfound.nn.backbone import Backbone
from deconfound.penalty import Penalty

TASK = Task.regression()
NOISE_Y, NOISE_S = 1.0, 0.6


@dataclass(frozen=True)
class Linear:
    """The problem.

    Args:
        correlations: ρ_e.
        shifts: mean of S in each environment.
        rows: per environment, each of them twice in a row.
    """

    correlations: tuple[float, ...] = (0.9, 0.6, 0.1)
    shifts: tuple[float, ...] = (0.0, 0.0, 0.0)
    rows: int = 40
    seed: int = 0
    batch: Batch = field(init=False)
    inputs: Tensor = field(init=False)

    def __post_init__(self) -> None:
        draw = np.random.default_rng(self.seed)
        inputs, target = [], []
        for rho, shift in zip(self.correlations, self.shifts, strict=True):
            noise = draw.normal(size=(self.rows, 3))
            noise, _ = np.linalg.qr(noise - noise.mean(0))
            c, n_y, n_s = (noise - noise.mean(0)).T * np.sqrt(self.rows)
            y = c + NOISE_Y * n_y
            inputs.append(np.stack([c, rho * y + NOISE_S * n_s + shift], 1).repeat(2, axis=0))
            target.append(y.repeat(2))
        env = torch.arange(len(inputs)).repeat_interleave(2 * self.rows)
        x, y = torch.tensor(np.concatenate(inputs)), torch.tensor(np.concatenate(target))
        signal = Signal(x.unsqueeze(1), torch.ones(len(x), 1, dtype=torch.bool))
        object.__setattr__(self, "inputs", x)
        object.__setattr__(self, "batch", Batch({"m": signal}, y, torch.arange(len(x)), env))

    @property
    def covariance(self) -> list[np.ndarray]:
        """Per environment the second moments of (C, S, Y), by algebra."""
        v = 1 + NOISE_Y**2
        return [
            np.array([[1, r, 1], [r, r**2 * v + NOISE_S**2 + shift**2, r * v], [1, r * v, v]])
            for r, shift in zip(self.correlations, self.shifts, strict=True)
        ]

    def risks(self, theta: np.ndarray) -> np.ndarray:
        """(E,) mean squared error of the predictor (a, b), by algebra."""
        weights = np.array([theta[0], theta[1], -1])
        return np.array([weights @ moments @ weights for moments in self.covariance])

    def loss(self, theta: Tensor, features: Callable[[Tensor, Tensor], Tensor] | None = None) -> Loss:
        """What a method with this predictor would say; its features are the prediction unless given."""
        output = (self.inputs @ theta).unsqueeze(1)
        risks = TASK.risk(output, self.batch.target)
        made = output if features is None else features(self.inputs, theta)
        return Loss(risks.mean(), {"prediction": risks.mean()}, risks, {"m": made}, output)


def backbone(width: int) -> Backbone:
    """Of one vector whose features are itself."""
    return Backbone.build({"m": Modality("m", 1, (width,))}, TASK, encoders={"m": "pool"})


STARTS = ([1.0, 0.0], [0.5, 0.5], [0.3, -0.3], [0.05, 0.7])


def by_class(
    problem: Linear, penalty: Penalty, features: Callable[[Tensor, Tensor], Tensor] | None = None
) -> np.ndarray:
    """(a, b) of the least mean risk plus weight times penalty, with the gradients of the penalty class."""

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        variable = torch.tensor(theta, requires_grad=True)
        loss = problem.loss(variable, features)
        total = loss.total + penalty.current_weight(1.0) * penalty(loss, problem.batch)
        (gradient,) = torch.autograd.grad(total, variable)
        return float(total.detach()), gradient.numpy()

    return _least([minimize(objective, start, jac=True, tol=1e-12) for start in STARTS])


def by_algebra(
    objective: Callable[[np.ndarray], float], starts: Sequence[Sequence[float]] = STARTS, digits: float = 1e-10
) -> np.ndarray:
    """(a, b) of the least value of a formula, without gradients."""
    options = {"xatol": digits, "fatol": digits**1.3, "maxiter": 4000, "maxfev": 4000}
    return _least([minimize(objective, start, method="Nelder-Mead", options=options) for start in starts])


def _least(found: list) -> np.ndarray:
    return min(found, key=lambda each: each.fun).x

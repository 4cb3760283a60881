"""Adjustment formulas on a table of joint probabilities.

Every function takes p of shape (..., X, Z, Y, A): treatment, mediator, outcome, and the combinations of the auxiliary
nodes (A = 1 without any). Leading axes are a batch. A formula is a string of factors: "a z|xa w|a y|zwa -> xy" is
Σ_a P(a) Σ_z P(z|x,a) Σ_w P(w|a) P(y|z,w,a) with w a second value of the treatment.

P(y | ...) is undefined in cells that never occur. By default a result that gives them weight is NaN. With
`partial=True` the formula runs over the cells that occur, with their weights scaled to one: that answers another
question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deconfound.errors import DataError

Array = np.ndarray
_AXES = "xzya"
_TINY = 1e-9


@dataclass(frozen=True)
class Formula:
    """A sum of products of conditional probabilities; the last factor is that of the outcome.

    Args:
        says: the formula as papers write it.
        factors: conditional probabilities such as "z|xa"; w is a second value of x.
        result: axes of the result, the outcome last.
    """

    says: str
    factors: tuple[str, ...]
    result: str

    @property
    def cells(self) -> str:
        """The axes that the outcome is conditioned on, such as "zwa"."""
        return self.factors[-1].partition("|")[2]


FORMULAS: Mapping[str, Formula] = {
    "naive": Formula("P(y|x)", ("y|x",), "xy"),
    "naive-given": Formula("P(y|x,a)", ("y|xa",), "xay"),
    "back-door": Formula("Σ_a P(a) P(y|x,a)", ("a", "y|xa"), "xy"),
    "front-door": Formula("Σ_z P(z|x) Σ_x' P(x') P(y|z,x')", ("z|x", "w", "y|zw"), "xy"),
    "beta-front-door-given": Formula("(1) Σ_z P(z|x,a) Σ_x' P(x'|a) P(y|z,x',a)", ("z|xa", "w|a", "y|zwa"), "xay"),
    "beta-front-door": Formula(
        "(2) Σ_a P(a) Σ_z P(z|x,a) Σ_x' P(x'|a) P(y|z,x',a)", ("a", "z|xa", "w|a", "y|zwa"), "xy"
    ),
    "mediator": Formula("(3) Σ_x',a P(x',a) P(y|z,x',a)", ("wa", "y|zwa"), "zy"),
    "mediator-plain": Formula("Σ_x' P(x') P(y|z,x')", ("w", "y|zw"), "zy"),
    "randomised-mediator": Formula("Σ_z P(z|x) Σ_x',a P(x',a) P(y|z,x',a)", ("z|x", "wa", "y|zwa"), "xy"),
    "joint-mediators": Formula("Σ_z,a P(z,a|x) Σ_x' P(x') P(y|z,x',a)", ("za|x", "w", "y|zwa"), "xy"),
}
TREATMENT_FORMULAS = ("naive", "back-door", "front-door", "beta-front-door", "joint-mediators", "randomised-mediator")
"""Formulas whose result is (X, Y). The last one estimates something other than P(y | do(x))."""


def conditional(p: Array, factor: str) -> Array:
    """A conditional probability: "z|xa" gives (..., Z, X, A) P(z | x, a), 0 where (x, a) does not occur."""
    variables, _, conditions = factor.replace("w", "x").partition("|")
    joint = np.einsum(f"...{_AXES}->...{variables}{conditions}", p)
    total = joint.sum(
        axis=tuple(range(joint.ndim - len(variables + conditions), joint.ndim - len(conditions))), keepdims=True
    )
    return np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)


def evaluate(name: str, p: Array, *, outcome: Array | None = None) -> Array:
    """A formula of `FORMULAS`; cells that do not occur count as 0, so that a result sums to less than 1 over y.

    Args:
        p: (..., X, Z, Y, A) joint probabilities or counts.
        outcome: replaces the last factor.

    Raises:
        DataError: p has another shape, or negative or undefined entries.
    """
    p = np.asarray(p, dtype=np.float64)
    if p.ndim < 4 or not np.isfinite(p).all() or (p < 0).any() or (p.sum(axis=(-4, -3, -2, -1)) <= 0).any():
        raise DataError(
            f"a table of probabilities is (..., X, Z, Y, A), finite and ≥ 0, not all 0; got shape {p.shape}"
        )
    formula = FORMULAS[name]
    parts = [conditional(p, factor) for factor in formula.factors[:-1]]
    parts.append(conditional(p, formula.factors[-1]) if outcome is None else outcome)
    letters = ",".join("..." + factor.replace("|", "") for factor in formula.factors)
    return np.einsum(f"{letters}->...{formula.result}", *parts, optimize="greedy")


def complete(result: Array, *, partial: bool = False) -> Array:
    """A result whose missing mass makes it NaN, or with `partial` scales it up to one."""
    mass = result.sum(axis=-1, keepdims=True)
    if partial:
        return np.divide(result, mass, out=np.full_like(result, np.nan), where=mass > _TINY)
    return np.where(mass > 1 - _TINY, result, np.nan)


def naive(p: Array, *, partial: bool = False) -> Array:
    """(..., X, Y) P(y | x): no adjustment."""
    return complete(evaluate("naive", p), partial=partial)


def naive_given(p: Array, *, partial: bool = False) -> Array:
    """(..., X, A, Y) P(y | x, a): no adjustment."""
    return complete(evaluate("naive-given", p), partial=partial)


def back_door(p: Array, *, partial: bool = False) -> Array:
    """(..., X, Y) Σ_a P(a) P(y | x, a)."""
    return complete(evaluate("back-door", p), partial=partial)


def front_door(p: Array, *, partial: bool = False) -> Array:
    """(..., X, Y) Pearl's front-door formula; the auxiliary nodes are summed out."""
    return complete(evaluate("front-door", p), partial=partial)


def beta_front_door_given(p: Array, *, partial: bool = False) -> Array:
    """(..., X, A, Y) equation (1): P(y | do(x), a) under B1 to B4."""
    return complete(evaluate("beta-front-door-given", p), partial=partial)


def beta_front_door(p: Array, *, partial: bool = False) -> Array:
    """(..., X, Y) equation (2): P(y | do(x)) under B1 to B4."""
    return complete(evaluate("beta-front-door", p), partial=partial)


def mediator_effect(p: Array, *, partial: bool = False) -> Array:
    """(..., Z, Y) equation (3): P(y | do(z)) where {X} ∪ A meets the back-door criterion for Z."""
    return complete(evaluate("mediator", p), partial=partial)


def mediator_effect_plain(p: Array, *, partial: bool = False) -> Array:
    """(..., Z, Y) P(y | do(z)) where X alone meets the back-door criterion for Z."""
    return complete(evaluate("mediator-plain", p), partial=partial)


def randomised_mediator_effect(p: Array, *, partial: bool = False) -> Array:
    """(..., X, Y) the product form: the outcome where Z is set to a draw from P(z | x), independently of the row's A.

    Exact for that where (3) is. It is not P(y | do(x)), unless Z does not depend on A given X, or where that
    independence does no harm, such as A ⊥ X and no interaction of Z and A on the outcome.

    Source: the randomised interventional analogue of VanderWeele, Vansteelandt and Robins, Epidemiology 25, 2014.
    """
    return complete(evaluate("randomised-mediator", p), partial=partial)


def joint_mediators(p: Array, *, partial: bool = False) -> Array:
    """(..., X, Y) the front-door formula with Z and A together as mediators, for an A that X causes."""
    return complete(evaluate("joint-mediators", p), partial=partial)

"""Positivity: how much weight a formula gives to combinations with few rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deconfound.causal.counts import Counts
from deconfound.causal.effects import FORMULAS, conditional, evaluate
from deconfound.causal.graph import Graph

MIN_ROWS = 5
"""A cell with fewer rows counts as thin."""
_MAX_NAMED_CELLS = 3
_MAX_WEIGHTS = 20_000_000


class PositivityWarning(UserWarning):
    """A formula gives weight to combinations of values with few or no rows."""


@dataclass(frozen=True)
class Support:
    """The weight that a formula gives to cells with few rows, for each value of the treatment.

    Args:
        missing: (X,) share in 0 … 1 on cells without rows. The reported effect averages over the rest.
        thin: (X,) share in 0 … 1 on cells with 1 to `MIN_ROWS` − 1 rows.
        cells: the cells without rows that have the most weight, such as "z=1, x=0, a=2".
    """

    missing: np.ndarray
    thin: np.ndarray
    cells: tuple[str, ...]


def support(name: str, counts: Counts, graph: Graph) -> Support:
    """Weight of a formula in `effects.FORMULAS` on cells with few rows.

    Cells are the combinations that the outcome is conditioned on. Formulas within each value of A are averaged over the
    distribution of A.
    """
    formula, p = FORMULAS[name], counts.cells.astype(np.float64)
    axes = formula.cells.replace("w", "x")
    rows = np.einsum(f"xzya->{axes}", p)[None]
    within_a = formula.result.replace("a", "").replace("z", "x") == "xy" and "a" in formula.result

    def mass(counted: np.ndarray) -> np.ndarray:
        weight = evaluate(name, p, outcome=counted.astype(np.float64)).sum(axis=-1)
        return weight @ conditional(p, "a") if within_a else weight

    occurring, well_covered = mass(rows >= 1), mass(rows >= MIN_ROWS)
    missing = np.clip(1 - occurring, 0, 1)
    cells = _missing_cells(name, counts, graph) if missing.max() > 1e-9 else ()
    return Support(missing, np.clip(occurring - well_covered, 0, 1), cells)


def mediator_is_computed(counts: Counts) -> bool:
    """Whether the mediator is a function of treatment and auxiliary nodes in these rows, some value of which repeats."""
    table = counts.cells.sum(axis=2)  # (X, Z, A)
    rows = table.sum(axis=1)
    return bool((table.max(axis=1) == rows).all() and rows.max() > 1)


def warning_text(name: str, support: Support) -> str | None:
    """A warning in one line, or None if no weight is on cells without rows and at most 1 % on thin ones."""
    missing, thin = float(support.missing.max()), float(support.thin.max())
    if missing <= 1e-9 and thin <= 0.01:
        return None
    parts = []
    if missing > 1e-9:
        cells = f" ({'; '.join(support.cells)})" if support.cells else ""
        parts.append(f"up to {missing:.1%} of its weight is on combinations without rows{cells}, and is left out")
    if thin > 0.01:
        parts.append(f"up to {thin:.1%} is on combinations with fewer than {MIN_ROWS} rows")
    return f"{name}: {'; '.join(parts)}"


def _missing_cells(name: str, counts: Counts, graph: Graph) -> tuple[str, ...]:
    formula, p = FORMULAS[name], counts.cells.astype(np.float64)
    letters, axes = formula.cells, formula.cells.replace("w", "x")
    rows = np.einsum(f"xzya->{axes}", p)
    if rows.size * p.shape[0] > _MAX_WEIGHTS or len(formula.factors) == 1:
        weight = np.ones_like(rows)
    else:
        parts = [conditional(p, factor) for factor in formula.factors[:-1]]
        inputs = ",".join(factor.replace("|", "") for factor in formula.factors[:-1])
        free = "".join(letter for letter in letters if letter in inputs)
        shape = [p.shape["xzya".index(letter.replace("w", "x"))] if letter in free else 1 for letter in letters]
        weight = np.einsum(f"{inputs}->{free}", *parts, optimize="greedy").reshape(shape)
    weight = np.where(rows == 0, weight, 0.0).ravel()
    order = np.argsort(-weight, kind="stable")[:_MAX_NAMED_CELLS]
    indices = [np.unravel_index(flat, rows.shape) for flat in order if weight[flat] > 0]
    return tuple(_cell_name(axes, index, counts.levels, graph) for index in indices)


def _cell_name(letters: str, index: tuple[np.intp, ...], levels: Mapping[str, tuple[str, ...]], graph: Graph) -> str:
    nodes = {"x": graph.treatment, "z": graph.mediator}
    parts = []
    for letter, number in zip(letters, index, strict=True):
        level = levels[letter][number]
        parts.append(level if letter == "a" else f"{nodes[letter]}={level}")
    return ", ".join(part for part in parts if part)

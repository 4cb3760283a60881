"""Positivity: on how many rows does a formula rest?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deconfound.causal.counts import Counts
from deconfound.causal.effects import FORMULAS, conditional, evaluate
from deconfound.causal.graph import Graph

FEW = 5
"""Rows below which a cell counts as thin."""
_NAMED = 3
_WEIGHTS = 20_000_000


class PositivityWarning(UserWarning):
    """A formula gives weight to combinations of values that have no rows, or few."""


@dataclass(frozen=True)
class Support:
    """Where the weight of a formula falls, for each value of the treatment.

    Args:
        missing: (X,) share in 0 … 1 on cells without rows. What is reported averages over the rest.
        thin: (X,) share on cells with 1 to `FEW` − 1 rows.
        cells: the heaviest cells without rows, as "z=1, x=0, a=2".
    """

    missing: np.ndarray
    thin: np.ndarray
    cells: tuple[str, ...]


def support(name: str, counts: Counts, graph: Graph) -> Support:
    """Weights of a formula of `effects.FORMULAS` over the cells that its outcome is conditioned on.

    Formulas within each value of A are averaged over A as it occurs.
    """
    formula, p = FORMULAS[name], counts.cells.astype(np.float64)
    axes = formula.cells.replace("w", "x")
    rows = np.einsum(f"xzya->{axes}", p)[None]
    average = formula.result.replace("a", "").replace("z", "x") == "xy" and "a" in formula.result

    def mass(enough: np.ndarray) -> np.ndarray:
        found = evaluate(name, p, outcome=enough.astype(np.float64)).sum(axis=-1)
        return found @ conditional(p, "a") if average else found

    some, many = mass(rows >= 1), mass(rows >= FEW)
    missing = np.clip(1 - some, 0, 1)
    cells = _missing_cells(name, counts, graph) if missing.max() > 1e-9 else ()
    return Support(missing, np.clip(some - many, 0, 1), cells)


def computed(counts: Counts) -> bool:
    """Whether the mediator is a function of treatment and auxiliary in these rows, each with two or more rows."""
    seen = counts.cells.sum(axis=2)
    rows = seen.sum(axis=1)
    return bool((seen.max(axis=1) == rows).all() and rows.max() > 1)


def warning_text(name: str, found: Support) -> str | None:
    """One line, or None where at most 1 % of the weight is on cells with few rows."""
    missing, thin = float(found.missing.max()), float(found.thin.max())
    if missing <= 1e-9 and thin <= 0.01:
        return None
    parts = []
    if missing > 1e-9:
        named = f" ({'; '.join(found.cells)})" if found.cells else ""
        parts.append(f"up to {missing:.1%} of its weight is on combinations without rows{named}, and is left out")
    if thin > 0.01:
        parts.append(f"up to {thin:.1%} is on combinations with fewer than {FEW} rows")
    return f"{name}: {'; '.join(parts)}"


def _missing_cells(name: str, counts: Counts, graph: Graph) -> tuple[str, ...]:
    formula, p = FORMULAS[name], counts.cells.astype(np.float64)
    letters, primed = formula.cells, formula.cells.replace("w", "x")
    rows = np.einsum(f"xzya->{primed}", p)
    if rows.size * p.shape[0] > _WEIGHTS or len(formula.factors) == 1:
        weight = np.ones_like(rows)
    else:
        parts = [conditional(p, factor) for factor in formula.factors[:-1]]
        inputs = ",".join(factor.replace("|", "") for factor in formula.factors[:-1])
        free = "".join(letter for letter in letters if letter in inputs)
        shape = [p.shape["xzya".index(letter.replace("w", "x"))] if letter in free else 1 for letter in letters]
        weight = np.einsum(f"{inputs}->{free}", *parts, optimize="greedy").reshape(shape)
    weight = np.where(rows == 0, weight, 0.0).ravel()
    order = np.argsort(-weight, kind="stable")[:_NAMED]
    places = [np.unravel_index(place, rows.shape) for place in order if weight[place] > 0]
    return tuple(_cell_name(primed, place, counts.levels, graph) for place in places)


def _cell_name(letters: str, place: tuple[np.intp, ...], levels: Mapping[str, tuple[str, ...]], graph: Graph) -> str:
    nodes = {"x": graph.treatment, "z": graph.mediator}
    named = []
    for letter, number in zip(letters, place, strict=True):
        level = levels[letter][number]
        named.append(level if letter == "a" else f"{nodes[letter]}={level}")
    return ", ".join(part for part in named if part)

"""Exchanges of rows or groups between two parts, and the annealing that chooses among them."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import sparse
from tqdm import tqdm

from deconfound.data.shift.association import Association, Ties, agreement

WARMEST = 0.05
"""Temperature at the beginning, in units of the correlation."""
UNEVEN_ENOUGH = 0.1
"""Change of the label's distribution and of the size of the part that is accepted where groups stay whole."""
UNEVEN = 1.0
"""Weight of the change of the label's distribution and of the size of the part, against the correlation."""


class Exchange:
    """Two parts of the rows whose units can change places.

    Args:
        held: (N, V) sparse attributes.
        labels: (N, C).
        bins: (N,) class of each row whose share in either part stays.
        units: (N,) number of the unit of each row; a unit is in one part.
        inside: (N,) bool, the rows of the inner part at first.
    """

    def __init__(
        self, held: sparse.csr_array, labels: np.ndarray, bins: np.ndarray, units: np.ndarray, inside: np.ndarray
    ) -> None:
        self.bins, self.inside = bins, inside.copy()
        classes, attributes = int(bins.max()) + 1, len(held.sum(0))

        def ties(rows: np.ndarray) -> Ties:
            return Ties.of(held, labels, bins, rows, classes)

        self.inside_part = Association(attributes, ties(np.flatnonzero(inside)))
        self.outside_part = Association(attributes, ties(np.flatnonzero(~inside)))
        order = np.argsort(units, kind="stable")
        self.units = np.split(order, np.flatnonzero(np.diff(units[order])) + 1)
        self.single = all(len(rows) == 1 for rows in self.units)
        self._ties = cache(lambda unit: ties(self.units[unit]))
        self._start = self.inside_part.bins

    def correlation(self) -> float:
        """Of the associations of the two parts."""
        return agreement(self.inside_part.strengths(), self.outside_part.strengths())

    def unevenness(self) -> float:
        """How far the counts of the classes in the inner part are from those at first, as a share of its rows."""
        return float(np.abs(self.inside_part.bins - self._start).sum() / max(1, self._start.sum()))

    def swap(self, inner: int, outer: int) -> None:
        """A unit of the inner part changes places with one of the outer part."""
        for unit, sign in ((inner, -1), (outer, 1)):
            self.inside_part.move(self._ties(unit), sign)
            self.outside_part.move(self._ties(unit), -sign)
            self.inside[self.units[unit]] = sign == 1


def anneal(
    exchange: Exchange,
    goal: float,
    proposals: int,
    generator: np.random.Generator,
    progress: bool = False,
) -> int:
    """Exchange units until the correlation is at most `goal`; worse exchanges are accepted ever more rarely.

    Args:
        progress: draw a bar.

    Returns:
        How many exchanges were tried.
    """
    inner = [u for u, rows in enumerate(exchange.units) if exchange.inside[rows[0]]]
    outer = [u for u, rows in enumerate(exchange.units) if not exchange.inside[rows[0]]]
    by_bin: dict[int, list[int]] = {}
    for place, unit in enumerate(outer):
        by_bin.setdefault(int(exchange.bins[exchange.units[unit][0]]), []).append(place)
    correlation = exchange.correlation()
    energy = _energy(exchange, correlation, goal)
    for tried in tqdm(range(proposals), "exchanges", leave=False, disable=not progress):
        if correlation <= goal and (exchange.single or exchange.unevenness() <= UNEVEN_ENOUGH):
            return tried
        i = int(generator.integers(len(inner)))
        # Single rows change places within their class only, so that a place keeps its class for ever.
        places = (
            by_bin.get(int(exchange.bins[exchange.units[inner[i]][0]]), []) if exchange.single else range(len(outer))
        )
        if not len(places):
            continue
        j = places[int(generator.integers(len(places)))]
        exchange.swap(inner[i], outer[j])
        proposed, temperature = exchange.correlation(), WARMEST * (1 - tried / proposals) ** 2
        new = _energy(exchange, proposed, goal)
        if new <= energy or generator.random() < np.exp((energy - new) / max(temperature, 1e-12)):
            energy, correlation = new, proposed
            inner[i], outer[j] = outer[j], inner[i]
        else:
            exchange.swap(outer[j], inner[i])
    return proposals


def _energy(exchange: Exchange, correlation: float, goal: float) -> float:
    uneven = 0.0 if exchange.single else UNEVEN * exchange.unevenness()
    return max(0.0, correlation - goal) + uneven

"""Effects from rows: every formula with bootstrap intervals, whether the graph warrants it, and its support in the rows.

The mediator must be measured: a transcript of speech, the text read off an image, a rater's summary. If a network
computes the mediator from the treatment, the mediator has no variation of its own. The formulas then need combinations
that never occur, and their result is not the effect.

Intervals: Student's t with the standard deviation over resamples of N − 1 of N rows, or of G − 1 of G clusters, as in
`deconfound.statistics.estimate`, clipped to the range of a probability. What no resample varies has none, but for
differences of 0. They cover sampling error alone: neither a wrong
graph nor the cells that a formula leaves out for lack of rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from deconfound.causal.advice import Assessment, assess
from deconfound.causal.counts import Counts
from deconfound.causal.effects import FORMULAS, TREATMENT_FORMULAS, complete, evaluate
from deconfound.causal.graph import Graph
from deconfound.causal.support import PositivityWarning, Support, mediator_is_computed, support, warning_text
from deconfound.errors import DataError
from deconfound.statistics.ties import ROUNDING

_CELLS = 4_000_000
"""Counts in memory at once: 32 MB."""


@dataclass(frozen=True)
class Band:
    """Values with their intervals, three arrays of one shape; NaN where undefined."""

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Effect:
    """One formula on one table.

    Args:
        formula: a name in `effects.FORMULAS`.
        warranted: whether the graph makes it P(y | do(x)), or P(y | do(x), a).
        probabilities: (X, Y), or (X, A, Y) within each value of A.
        differences: probabilities less those of the first value of the treatment.
        support: the weight that it gives to cells with few rows.
    """

    formula: str
    warranted: bool
    probabilities: Band
    differences: Band
    support: Support


@dataclass(frozen=True)
class Effects:
    """All formulas on one table.

    Args:
        effects: name of a formula → its effect.
        warnings: lines about positivity.
    """

    graph: Graph
    assessment: Assessment
    counts: Counts
    effects: Mapping[str, Effect]
    warnings: tuple[str, ...]


def estimate_effects(
    counts: Counts, graph: Graph, generator: np.random.Generator, *, resamples: int = 1000, level: float = 0.95
) -> Effects:
    """Estimate the effect of the treatment by every formula.

    Formulas that use auxiliary nodes are left out if the graph has none. A formula leaves out cells without rows and
    scales the weights of the others to one.

    Args:
        counts: from `count_rows` or `read_counts`, for the same graph.
        resamples: number of bootstrap samples of rows or clusters, 2 or more.
        level: confidence level of the intervals, in (0, 1).

    Warns:
        PositivityWarning: a formula that the graph warrants gives weight to combinations with few or no rows, or the
            mediator is a function of treatment and auxiliary nodes.

    Raises:
        DataError: fewer than two resamples, a level outside of (0, 1), or a single cluster.
    """
    if resamples < 2 or not 0 < level < 1:
        raise DataError(f"intervals need 2 or more resamples and a level between 0 and 1; got {resamples} and {level}")
    if _units(counts) < 2:
        raise DataError("intervals need two or more rows or clusters; got 1: add rows, or leave clusters out")
    assessment = assess(graph)
    warranted = {**assessment.exact, "beta-front-door-given": assessment.beta_front_door.holds}
    names = [*TREATMENT_FORMULAS, "beta-front-door-given"] if graph.auxiliary else ["naive", "front-door"]
    resampled: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for cells in _resampled(counts, resamples, generator):
        for name in names:
            resampled[name].append(_formula(name, cells))
    quantile = float(t.ppf((1 + level) / 2, _units(counts) - 1))
    effects = {}
    for name in names:
        values, draws = _formula(name, counts.cells), np.concatenate(resampled[name])
        probabilities = _band(values, draws, quantile, 0.0)
        differences = _band(_less(values, name), _less(draws, name), quantile, -1.0)
        effects[name] = Effect(name, warranted[name], probabilities, differences, support(name, counts, graph))
    texts = _warnings(effects, counts, graph)
    for text in texts:
        warnings.warn(text, PositivityWarning, stacklevel=2)
    return Effects(graph, assessment, counts, effects, texts)


def _formula(name: str, cells: np.ndarray) -> np.ndarray:
    return complete(evaluate(name, cells), partial=True)


def _less(values: np.ndarray, name: str) -> np.ndarray:
    """Differences from the first value of the treatment, whose axis comes first after those of a batch."""
    axis = values.ndim - len(FORMULAS[name].result)
    return values - values.take([0], axis=axis)


def _resampled(counts: Counts, resamples: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """(R', X, Z, Y, A) counts of some resamples at a time; independent rows are drawn as cells."""
    shape, size = counts.cells.shape, counts.cells.size
    step = max(1, _CELLS // size)
    units = _units(counts)
    share = counts.cells.ravel() / units if counts.clusters is None else np.full(units, 1 / units)
    for start in range(0, resamples, step):
        drawn = generator.multinomial(units - 1, share, size=min(step, resamples - start))
        if counts.clusters is not None:
            of_rows = (times[counts.clusters] for times in drawn)
            drawn = np.stack([np.bincount(counts.codes, weights=times, minlength=size) for times in of_rows])
        yield drawn.reshape(-1, *shape)


def _units(counts: Counts) -> int:
    return counts.rows if counts.clusters is None else int(counts.clusters.max()) + 1


def _band(values: np.ndarray, draws: np.ndarray, quantile: float, lowest: float) -> Band:
    """Intervals from (R, ...) resampled values.

    NaN where half of the resamples or more are undefined, and where they do not vary: a probability of 1 in all rows is
    not known to be 1. A difference of 0 in all resamples, as of a treatment from itself, has the interval [0, 0].
    """
    defined = np.isfinite(draws)
    count = defined.sum(axis=0)
    total = np.where(defined, draws, 0.0)
    mean = total.sum(axis=0) / np.maximum(count, 1)
    variance = (np.where(defined, draws - mean, 0.0) ** 2).sum(axis=0) / np.maximum(count - 1, 1)
    half = np.where(count > max(1, len(draws) // 2), quantile * np.sqrt(variance), np.nan)
    varies = variance > ROUNDING**2
    half = np.where(varies | ((values == 0) if lowest < 0 else False), half, np.nan)
    return Band(values, np.clip(values - half, lowest, 1.0), np.clip(values + half, lowest, 1.0))


def _warnings(effects: Mapping[str, Effect], counts: Counts, graph: Graph) -> tuple[str, ...]:
    # (1) is left out: it gives the cells of (2) the same weights
    names = [name for name, effect in effects.items() if effect.warranted and name != "beta-front-door-given"]
    candidates = [warning_text(name, effects[name].support) for name in names]
    texts = [text for text in candidates if text is not None]
    if mediator_is_computed(counts):
        causes = " and ".join((graph.treatment, *graph.auxiliary))
        texts.insert(
            0,
            f"{graph.mediator} is a function of {causes} in these rows: no formula that goes through it estimates an "
            "effect; measure the mediator instead of computing it",
        )
    return tuple(texts)

"""Which method is best in a column, which are not significantly worse, and which differ from the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from deconfound.errors import SpecError, did_you_mean
from deconfound.results.collect_runs import RunFilter
from deconfound.results.sections import GroupCount
from deconfound.results.spread import Spread, spread
from deconfound.statistics import (
    CORRECTIONS,
    Correction,
    Estimate,
    corrected,
    differing,
    estimate,
    sign_flip,
    smallest_p,
    wilcoxon,
)
from deconfound.tables.column_values import ColumnValues

Test = Literal["t", "permutation", "wilcoxon"]
TESTS: tuple[Test, ...] = ("t", "permutation", "wilcoxon")


@dataclass(frozen=True)
class TableSettings:
    """How a table is made.

    Args:
        metrics: the primary one of each protocol if empty. Of classifiers also "ece", "brier" and "aurc".
        scenarios: every test split if empty; "gaussian" is the area under its curve, "gaussian@0.5" one severity.
        group: "all", "speaker=anna" or "worst(speaker)".
        only: filter of methods and datasets, all if None; the corrections count these methods alone.
        baseline: label or method that the others are tested against; the only ERM row if None, "none" for no baseline.
        test: "t" over seeds and rows; "permutation" (sign flips) and "wilcoxon" over seeds alone.
        correction: of the tests against the baseline, over the methods.
        level: level of the intervals, 1 − the level of the tests; in (0, 1).
        resamples: number of resamples of the rows; 0 ignores the sampling of rows.
        clusters: metadata column whose rows are drawn together; "" for the dataset's own grouping.
        store: where the dataset is, if it moved.
        seed: seed of the resamples.
    """

    metrics: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    group: str = "all"
    only: RunFilter | None = None
    baseline: str | None = None
    test: Test = "t"
    correction: Correction = "holm"
    level: float = 0.95
    resamples: int = 2000
    clusters: str = ""
    store: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in ((self.test, TESTS), (self.correction, CORRECTIONS)):
            if name not in known:
                raise SpecError(f"there is no {name!r}{did_you_mean(str(name), known)}")
        if not 0 < self.level < 1 or self.resamples < 0 or self.resamples == 1:
            raise SpecError(
                f"level lies in (0, 1) and resamples are 0 or 2 and more; got {self.level}, {self.resamples}"
            )


@dataclass(frozen=True)
class ComparisonCell:
    """One method under one column.

    Args:
        spread: over seeds.
        groups: of a worst group: among how many it was found; None elsewhere and where the records do not say.
        interval: of the mean; None where nothing was measured or a seed is undefined.
        difference: method − baseline over common seeds; None for the baseline itself and without one.
        p_baseline: two-sided, not corrected; p_baseline_corrected: over the methods.
        p_best: against the best mean of the column, times the number of methods it is compared with.
        best: True for the best mean.
        mark: "best", "tied" (not significantly worse than the best), "worse", "untested", or "" where nothing is
            compared: a single method, or a seed whose value is undefined.
        verdict: "better" or "worse" than the baseline where that is significant, else "".
        baseline_untested: whether the test against the baseline cannot tell. Untested is what has fewer than two common
            seeds, and where the smallest p-value that the test can give, corrected, exceeds its level: too few seeds for
            an exact test, or differences that tie.
        over: what the mean is over. Where it is "folds", read so what is said here of seeds.
    """

    spread: Spread
    groups: GroupCount | None = None
    interval: Estimate | None = None
    difference: Estimate | None = None
    p_baseline: float | None = None
    p_baseline_corrected: float | None = None
    p_best: float | None = None
    best: bool = False
    mark: str = ""
    verdict: str = ""
    baseline_untested: bool = False
    over: Literal["seeds", "folds"] = "seeds"


def compare_methods(
    column: ColumnValues,
    labels: Sequence[str],
    baseline: str | None,
    settings: TableSettings,
    *,
    higher_is_better: bool,
) -> dict[str, ComparisonCell]:
    """Label → cell of one column.

    Each method is tested against the best mean with Bonferroni's correction over the methods. The best is picked by the
    same numbers, so no test against it is valid by itself; but the truly best method is called worse only if one of its
    comparisons with the others errs, and these are at most as many (Hsu, multiple comparisons with the best, 1984).

    Args:
        labels: in the order of the table.
        baseline: label of the method that the others are compared with, in a second family with its own correction.
    """
    cells = {label: _cell(column, label, settings.level) for label in labels}
    means = {label: cell.interval.mean for label, cell in cells.items() if cell.interval is not None}
    if len(means) < 2:
        return cells
    pick = max if higher_is_better else min
    best = pick(means, key=lambda label: means[label])
    against_best = {label: _compare(column, label, best, settings) for label in means if label != best}
    adjusted = _adjusted(against_best, "bonferroni")
    for label in means:
        standing = (
            "best" if means[label] == means[best] else _standing(adjusted[label], settings.level, "worse", "tied")
        )
        p_best = adjusted[label].p if label in adjusted else None
        cells[label] = replace(cells[label], p_best=p_best, best=standing == "best", mark=standing)
    if baseline is None:
        return cells
    compared = {label: _compare(column, label, baseline, settings) for label in means if label != baseline}
    for label, after in _adjusted(compared, settings.correction).items():
        before = compared[label]
        ahead = before.difference is not None and (before.difference.mean > 0) == higher_is_better
        standing = _standing(after, settings.level, "better" if ahead else "worse", "")
        cells[label] = replace(
            cells[label],
            difference=before.difference,
            p_baseline=before.p,
            p_baseline_corrected=after.p,
            verdict="" if standing == "untested" else standing,
            baseline_untested=standing == "untested",
        )
    return cells


def _cell(column: ColumnValues, label: str, level: float) -> ComparisonCell:
    values = column.values.get(label, {})
    measured = spread(values.values())
    seeds = [seed for seed, value in values.items() if value is not None]
    if not seeds or measured.defined < measured.total:
        return ComparisonCell(measured)
    drawn = _drawn(column, label, seeds)
    ours = np.asarray([values[seed] for seed in seeds], dtype=np.float64)
    return ComparisonCell(measured, interval=estimate(ours, drawn, column.clusters, level))


def _drawn(column: ColumnValues, label: str, seeds: Sequence[int]) -> np.ndarray | None:
    """(n, R) resamples of these seeds, None without."""
    if not all((label, seed) in column.resampled for seed in seeds):
        return None
    return np.stack([column.resampled[label, seed] for seed in seeds])


@dataclass(frozen=True)
class _Test:
    """A difference over common seeds and its p-value, None where there is none; `least_p` is the smallest possible."""

    difference: Estimate | None
    p: float | None
    least_p: float


def _adjusted(tests: Mapping[str, _Test], how: Correction) -> dict[str, _Test]:
    """Label → the test with p-values for all comparisons together.

    Those that Benjamini and Hochberg's correction leaves as they are may be all the smallest ones.
    """
    p_values = corrected([test.p for test in tests.values()], how)
    count = sum(p is not None for p in p_values) if how in ("holm", "bonferroni") else 1
    return {
        label: replace(test, p=p, least_p=min(1.0, test.least_p * count))
        for (label, test), p in zip(tests.items(), p_values, strict=True)
    }


def _standing(test: _Test, level: float, significant: str, other: str) -> str:
    if test.p is not None and test.p <= 1 - level:
        return significant
    return "untested" if test.p is None or test.least_p > 1 - level else other


def _compare(column: ColumnValues, ours: str, theirs: str, settings: TableSettings) -> _Test:
    """The difference over common seeds and its p-value; no p-value below two common seeds."""
    a, b = column.values.get(ours, {}), column.values.get(theirs, {})
    common = _defined(a, b)
    if not common:
        return _Test(None, None, 1.0)
    both = np.asarray([[_number(a[seed]), _number(b[seed])] for seed in common])
    gaps, size = both[:, 0] - both[:, 1], float(np.abs(both).max())
    mine, other = _drawn(column, ours, common), _drawn(column, theirs, common)
    drawn = None if mine is None or other is None else mine - other
    difference = estimate(gaps, drawn, column.clusters, settings.level, size)
    if len(common) < 2:
        return _Test(difference, None, 1.0)
    if settings.test == "t":
        return _Test(difference, difference.p, difference.least_p)
    exact = np.where(differing(gaps, size), gaps, 0.0)
    least_p = smallest_p(int(np.count_nonzero(exact)))
    if settings.test == "wilcoxon":
        return _Test(difference, wilcoxon(exact), least_p)
    return _Test(difference, sign_flip(exact, np.random.default_rng(settings.seed)), least_p)


def _defined(a: Mapping[int, float | None], b: Mapping[int, float | None]) -> list[int]:
    return sorted(seed for seed in a.keys() & b.keys() if a[seed] is not None and b[seed] is not None)


def _number(value: float | None) -> float:
    assert value is not None
    return value

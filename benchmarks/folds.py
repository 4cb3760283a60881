"""One table over datasets that each leave something out, such as a speaker: the fold is the unit of the statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deconfound.errors import SpecError
from deconfound.results.collect_runs import RunFilter, collect_runs
from deconfound.statistics import Estimate, corrected, estimate

Grid = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Method → fold → seed → value."""


@dataclass(frozen=True)
class Line:
    """One method.

    Args:
        folds: mean over seeds of each fold.
        mean: over folds.
        worst: mean over seeds of the lowest fold.
        difference: over folds, of the means over seeds, from the baseline; None for the baseline itself.
        p: of that difference, corrected for the number of methods.
    """

    method: str
    folds: Mapping[str, float]
    mean: float
    worst: float
    difference: Estimate | None
    p: float | None


def measured(
    folder: Path, scenario: str, metric: str, methods: Sequence[str] = ()
) -> dict[str, dict[str, dict[int, float]]]:
    """Values of the chosen runs of a sweep, on all rows of a scenario; datasets without it are left out.

    Raises:
        SpecError: a method that the sweep does not have, an undefined value, or two folds of one name.
    """
    found: dict[str, dict[str, dict[int, float]]] = {}
    for run in collect_runs([folder], RunFilter(methods=tuple(methods))).runs:
        for record in run.records:
            here = (record.scenario, record.group, record.metric, record.severity)
            if here == (scenario, "all", metric, 0.0):
                if record.value is None:
                    raise SpecError(f"{metric} of {run.folder} is undefined; leaving it out would reward {run.label!r}")
                seeds = found.setdefault(run.label, {}).setdefault(run.dataset, {})
                if run.seed in seeds:
                    raise SpecError(
                        f"two runs of {run.label!r} with seed {run.seed} are called {run.dataset!r}; name each fold"
                    )
                seeds[run.seed] = record.value
    return found


def compare(grid: Grid, baseline: str) -> list[Line]:
    """Means, worst folds (higher values are better), and paired t-tests over folds, Holm's correction."""
    means = {m: {fold: float(np.mean(list(v.values()))) for fold, v in folds.items()} for m, folds in grid.items()}
    apart = {m: [own[fold] - means[baseline][fold] for fold in own] for m, own in means.items() if m != baseline}
    tests = {m: estimate(np.array(values)) for m, values in apart.items()}
    adjusted = dict(zip(tests, corrected([test.p for test in tests.values()]), strict=True))
    return [
        Line(m, own, float(np.mean(list(own.values()))), _worst(grid[m]), tests.get(m), adjusted.get(m))
        for m, own in means.items()
    ]


def _worst(folds: Mapping[str, Mapping[int, float]]) -> float:
    seeds = set.intersection(*(set(values) for values in folds.values()))
    return float(np.mean([min(values[seed] for values in folds.values()) for seed in seeds]))


def fold_table(folder: Path, scenario: str, metric: str, methods: Sequence[str], baseline: str = "erm") -> str:
    """Markdown, with what a reader must know below it."""
    grid = measured(folder, scenario, metric, methods)
    lines = compare(grid, baseline)
    folds = list(grid[baseline])
    heads = ["Method", *(fold.rpartition("-")[2] for fold in folds), "mean", "worst", f"mean − {baseline}"]
    rows = [f"| {' | '.join(heads)} |", "|---|" + "--:|" * (len(heads) - 1)]
    for line in lines:
        cells = [f"{line.folds[fold]:.3f}" for fold in folds] + [f"{line.mean:.3f}", f"{line.worst:.3f}"]
        rows.append("| " + " | ".join([line.method, *cells, difference_text(line)]) + " |")
    seeds = sorted({seed for values in grid[baseline].values() for seed in values})
    note = (
        f"{metric} on {scenario} of {len(folds)} datasets, each of which leaves out the one named; seed"
        f"{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}. worst: the lowest of them. Difference: mean over the "
        "left-out ones \\[95 % t-interval over them, not corrected\\]. ⁺, ⁻: significantly better, worse (Holm "
        "correction over the methods, α = 0.05)."
    )
    return "\n".join([*rows, "", note, ""])


def difference_text(line: Line) -> str:
    """Difference from the baseline, its interval and mark; "" for the baseline."""
    found = line.difference
    if found is None:
        return ""
    sign = ("⁺" if found.mean > 0 else "⁻") if line.p is not None and line.p <= 0.05 else ""
    known = found.low is not None and found.high is not None
    ends = f" \\[{found.low:+.3f}, {found.high:+.3f}\\]" if known else ""
    return f"{found.mean:+.3f}{ends} {sign}".replace("-", "−").rstrip()

"""The tables of docs/findings/defaults.md, from what run.py kept.

    python benchmarks/real_sets/page.py RESULTS.jsonl > tables.md

A difference is oriented so that more is better, accuracy in points of 1 and mean absolute error in shares of the reference's.
Its interval is a paired t-interval over folds. "Best control" is the one with the best mean over the same folds, chosen
afterwards, which favours the controls.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deconfound.statistics import estimate

Grid = Mapping[str, Mapping[int, float]]
"""Contender → fold → value of one set and test split."""

CONTROLS = ("constant", "linear", "late-linear", "boosted-trees")
PER_GROUP = " per group"


def grids(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], dict[str, dict[int, float]]]:
    """(set, test split, metric) → `Grid`."""
    kept: dict[tuple[str, str, str], dict[str, dict[int, float]]] = {}
    for line in lines:
        for split, value in line["values"].items():
            grid = kept.setdefault((line["set"], split, line["metric"]), {})
            grid.setdefault(line["contender"], {})[line["fold"]] = value
    return kept


def gain(grid: Grid, contender: str, reference: str, metric: str) -> np.ndarray:
    """(folds,) how much better a contender is, in the folds that both have."""
    folds = [fold for fold in grid[contender] if fold in grid[reference]]
    ours, theirs = (np.array([grid[name][fold] for fold in folds]) for name in (contender, reference))
    return (theirs - ours) / theirs.mean() if metric == "mae" else ours - theirs


def best_control(grid: Grid, metric: str, suffix: str = "") -> str:
    """The control with the best mean, among those with this suffix."""
    sign = -1 if metric == "mae" else 1
    names = [name + suffix for name in CONTROLS if name + suffix in grid]
    return max(names, key=lambda name: sign * np.mean(list(grid[name].values())))


def interval(values: np.ndarray) -> str:
    """`"+.012 [+.004, +.020]"`; without an interval where there is one fold."""
    found = estimate(values)
    mean = f"{found.mean:+.3f}"
    return mean if found.low is None or found.high is None else f"{mean} [{found.low:+.3f}, {found.high:+.3f}]"


def value_table(kept: Mapping[tuple[str, str, str], Grid]) -> list[str]:
    """Means over the folds of `constant`, one line per set and test split; blank for a contender that lacks one of them."""
    names = list(dict.fromkeys(name for grid in kept.values() for name in grid))
    rows = [f"| set | test | folds | {' | '.join(names)} |", "|---|---|--:|" + "--:|" * len(names)]
    for (name, split, metric), grid in kept.items():
        digits = 2 if metric == "mae" and np.mean(list(grid["constant"].values())) > 10 else 3
        folds = grid["constant"].keys()
        whole = [c in grid and folds <= grid[c].keys() for c in names]
        means = [
            np.mean([grid[c][fold] for fold in folds]) if there else None for c, there in zip(names, whole, strict=True)
        ]
        cells = ["" if mean is None else f"{mean:.{digits}f}" for mean in means]
        rows.append(f"| {name}{' (MAE)' if metric == 'mae' else ''} | {split} | {len(folds)} | {' | '.join(cells)} |")
    return rows


def gap_table(kept: Mapping[tuple[str, str, str], Grid]) -> list[str]:
    """What `erm` with its defaults is above the best control, and what other scalings add to it."""
    heads = ["best control", "erm − best control", "rank-gauss", "robust", "per group", "erm − control, both per group"]
    rows = [f"| set | test | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    base, grouped = "erm standard", "erm standard" + PER_GROUP
    for (name, split, metric), grid in kept.items():
        if base not in grid:
            continue
        control = best_control(grid, metric)
        pairs = [(base, control), ("erm rank-gauss", base), ("erm robust", base), (grouped, base)]
        cells = [control, *(interval(gain(grid, a, b, metric)) if a in grid else "" for a, b in pairs)]
        both = grouped in grid and any(c + PER_GROUP in grid for c in CONTROLS)
        cells.append(interval(gain(grid, grouped, best_control(grid, metric, PER_GROUP), metric)) if both else "")
        rows.append(f"| {name} | {split} | {' | '.join(cells)} |")
    return rows


def over_sets(kept: Mapping[tuple[str, str, str], Grid]) -> list[str]:
    """Mean gain of every scaling over `standard`, the test split of a set as the unit."""
    rows = []
    for scaling in ("erm rank-gauss", "erm robust", "erm standard" + PER_GROUP, "erm rank-gauss" + PER_GROUP):
        gains = [
            float(np.mean(gain(grid, scaling, "erm standard", metric)))
            for (_, _, metric), grid in kept.items()
            if scaling in grid and "erm standard" in grid
        ]
        if gains:
            rows.append(
                f"- {scaling}: {interval(np.array(gains))} over {len(gains)} test splits, worst {min(gains):+.3f}"
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    lines = [json.loads(line) for line in parser.parse_args().results.read_text(encoding="utf-8").splitlines()]
    kept = grids(lines)
    print("\n".join([*value_table(kept), "", *gap_table(kept), "", *over_sets(kept)]))


if __name__ == "__main__":
    main()

"""The tables of docs/improve.md from the lines of `measure.py`: differences from `erm`, costs, coverage.

python benchmarks/helps/summary.py helps.jsonl
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

BASE = "erm"
MEMBERS = ("member 2", "member 3")


def main() -> None:
    lines = pd.read_json(Path(sys.argv[1]), lines=True)
    lines["cpu"] = lines.get("cpu", np.nan)
    scored = lines[lines["score"].notna()] if "score" in lines else lines
    seeds = scored[scored["choice"] == BASE].groupby("set")["seed"].nunique()
    print(f"{len(seeds)} sets; seeds of each: {', '.join(f'{name} {count}' for name, count in seeds.items())}\n")
    print(
        "| choice | score | 95 % interval | worst set | risk | CPU time of training | sets |\n|---|--:|---|---|--:|--:|--:|"
    )
    names = [name for name in dict.fromkeys(scored["choice"]) if name not in (BASE, *MEMBERS)]
    for name in names:
        print(row(scored, name))
    print()
    regions(lines)


def row(lines: pd.DataFrame, choice: str) -> str:
    """Mean over sets of the mean paired difference over seeds; the interval is Student's over all pairs, set means equal."""
    mine, base = (lines[lines["choice"] == name].set_index(["set", "seed"]) for name in (choice, BASE))
    both = mine.join(base.add_suffix("_base"), how="inner")
    by_set = (both["score"] - both["score_base"]).groupby("set").mean()
    low, high = interval([part.to_numpy() for _, part in (both["score"] - both["score_base"]).groupby("set")])
    risk = (np.log(both["risk"]) - np.log(both["risk_base"])).groupby("set").mean().mean()
    ratio = (both["cpu"] / both["cpu_base"]).median()
    worst = str(by_set.idxmin())
    time = "" if np.isnan(ratio) else f"×{ratio:.1f}"
    return (
        f"| {choice} | {by_set.mean():+.3f} | [{low:+.3f}, {high:+.3f}] | {worst} {by_set.min():+.3f} | "
        f"{100 * (np.exp(risk) - 1):+.0f} % | {time} | {len(by_set)} |"
    )


def interval(parts: Sequence[np.ndarray]) -> tuple[float, float]:
    """Of the mean of set means, for these sets and new seeds: variances of the set means add up."""
    means = [part.mean() for part in parts]
    counted = [part for part in parts if len(part) > 1]
    if not counted:
        return float("nan"), float("nan")
    variance = sum(part.var(ddof=1) / len(part) for part in counted) / len(parts) ** 2
    freedom = sum(len(part) - 1 for part in counted)
    half = stats.t.ppf(0.975, freedom) * variance**0.5
    return float(np.mean(means) - half), float(np.mean(means) + half)


def regions(lines: pd.DataFrame) -> None:
    print(
        "| set | coverage | worst group | size | by group: coverage | worst group | size |\n|---|--:|--:|--:|--:|--:|--:|"
    )
    chosen = lines[lines["choice"].str.startswith("conformal")]
    for name, part in chosen.groupby("set", sort=False):
        cells = []
        for choice in ("conformal .9", "conformal .9 by group"):
            own = part[part["choice"] == choice]
            cells += [f"{own[column].mean():.3g}" for column in ("coverage", "worst", "size")]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

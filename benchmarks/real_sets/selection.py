"""Rules for choosing an epoch, and budgets, compared on kept trajectories: no training.

    python benchmarks/real_sets/selection.py FOLDER [--patience 15] [--budgets today ...]

For every set the mean over seeds of the test metric under the first rule (or budget), and the paired difference of each other
one with a 95 % t-interval over seeds; accuracy, or minus the MAE over that of the first (a share). "all" is the mean over
sets, with an interval over the sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deconfound.data.task import Task
from deconfound.evaluation.criterion import validation_score
from deconfound.method import WarmUp
from deconfound.statistics import estimate
from deconfound.training.best_epoch import EpochChoice

RULES: dict[str, tuple[str, int]] = {
    f"{criterion}{'' if window == 1 else f', window {window}'}": (criterion, window)
    for criterion in ("risk", "calibrated-risk", "metric")
    for window in (1, 3, 5)
}


def task_of(kept: Mapping[str, Any]) -> Task:
    outputs = kept["valid"].shape[2]
    return Task.regression() if outputs == 1 else Task.classification(tuple(map(str, range(outputs))))


def scores(kept: Mapping[str, Any], criterion: str, split: str = "valid") -> list[float]:
    """The score of every epoch."""
    task, target = task_of(kept), kept[f"{split}_target"]
    values = []
    for output in kept[split]:
        risk = float(task.risk(torch.from_numpy(output), torch.from_numpy(target)).mean())
        values.append(validation_score(criterion, risk, output, target, task, float(kept["centre"])))  # type: ignore[arg-type]
    return values


def chosen(kept: Mapping[str, Any], rule: str, patience: int | None) -> int:
    """The epoch that a rule keeps; None for no early stopping."""
    criterion, window = RULES[rule]
    values = scores(kept, criterion)
    choice = EpochChoice.of(WarmUp(), len(values), window, patience or len(values))
    for value in values:
        choice = choice.after(value)
        if choice.is_over:
            break
    return choice.kept or 0


def tested(kept: Mapping[str, Any], epoch: int) -> float:
    """The primary metric on test rows, lower is better."""
    return validation_score("metric", 0.0, kept["test"][epoch], kept["test_target"], task_of(kept), 0.0)


def table(values: Mapping[str, Mapping[str, Mapping[int, float]]], first: str) -> str:
    """Set → column → seed → value, lower is better."""
    lines, means = [], {}
    columns = list(next(iter(values.values())))
    for name, of_column in values.items():
        seeds = sorted(set.intersection(*(set(of_column[c]) for c in columns)))
        if not seeds:
            continue
        reference = np.array([of_column[first][seed] for seed in seeds])
        unit = 1.0 if reference.mean() < 0 else reference.mean()
        cells = [f"{abs(reference.mean()):.3f} ({len(seeds)})"]
        for column in columns:
            if column != first:
                gain = (reference - np.array([of_column[column][seed] for seed in seeds])) / unit
                means.setdefault(column, []).append(gain.mean())
                cells.append(text(gain))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append("| all | | " + " | ".join(text(np.array(means[c])) for c in columns if c != first) + " |")
    heads = f"| set | {first} | " + " | ".join(c for c in columns if c != first) + " |"
    return "\n".join([heads, "|---|" + "--:|" * len(columns), *lines])


def text(gain: np.ndarray) -> str:
    found = estimate(gain)
    ends = "" if found.low is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    return f"{found.mean:+.4f}{ends}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patience", type=int, help="epochs; no early stopping if left out")
    parser.add_argument("--budget", default="today", help="whose trajectories the rules are compared on")
    parser.add_argument("--budgets", nargs="+", help="compare these instead, by --rule")
    parser.add_argument("--rule", default="risk")
    parser.add_argument("--seeds", nargs="+", type=int)
    options = parser.parse_args()
    values: dict[str, dict[str, dict[int, float]]] = {}
    columns: dict[str, Callable[[Mapping[str, Any]], float]] = {
        rule: lambda kept, rule=rule: tested(kept, chosen(kept, rule, options.patience)) for rule in RULES
    }
    for path in sorted(options.folder.glob("*.npz")):
        name, rest = path.stem.split("-erm-")
        budget, _, seed = rest.rpartition("-")
        if (options.seeds and int(seed) not in options.seeds) or budget not in (options.budgets or [options.budget]):
            continue
        kept = dict(np.load(path))
        made = {budget: columns[options.rule]} if options.budgets else columns
        for column, measure in made.items():
            values.setdefault(name, {}).setdefault(column, {})[int(seed)] = measure(kept)
    wanted = set(options.budgets or RULES)
    values = {name: of for name, of in values.items() if set(of) == wanted}
    print(table(values, options.budgets[0] if options.budgets else next(iter(RULES))))


if __name__ == "__main__":
    main()

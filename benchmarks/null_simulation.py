"""How often the tests of a table cry wolf: twenty copies of ERM that differ in nothing but their seeds.

    python benchmarks/null_simulation.py [--methods 20] [--seeds 5] [--sweeps 200] [--json FILE]

Trains a pool of methods × seeds ERM runs on a small synthetic set and keeps what each predicts. A simulated sweep deals
the pool at random to the "methods" and judges them as a table does. Prints the share of comparisons that are called
different, the share of sweeps with at least one, and their 95 % intervals, for the tests of the tables and for the natural
but wrong test over rows, which takes the trained models for the methods.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest, t, ttest_1samp

from deconfound.evaluation.evaluate import predict_scenario
from deconfound.evaluation.scenario import Scenario
from deconfound.protocol import get_protocol
from deconfound.runs.build import load_data
from deconfound.runs.spec import Spec
from deconfound.statistics import corrected, resample
from deconfound.tables import TableSettings
from deconfound.tables.column_values import ColumnValues
from deconfound.tables.compare_methods import compare_methods
from deconfound.training.train import train_run

BASELINE = "erm 0"


@dataclass(frozen=True)
class Pool:
    """P trained runs on one split of N rows.

    Args:
        values: (P,) metric of each run.
        resampled: (P, R) the same under resamples of rows.
        errors: (P, N) squared error of each row.
    """

    values: np.ndarray
    resampled: np.ndarray
    errors: np.ndarray


def train_pool(runs: int, *, rows: int, epochs: int, split: str, metric: str, resamples: int) -> Pool:
    """Train ERM with the seeds 0 … runs − 1 and predict a split."""
    train = {"epochs": epochs, "batch_size": 16, "accelerator": "cpu", "threads": 1}
    values: dict[str, Any] = {"method": "erm", "data": {"synthetic": {"rows": rows}}, "train": train}
    spec = Spec.of({**values, "backbone": {"hidden": 8}})
    data = load_data(spec.data)
    outputs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(runs):
            one = spec.model_copy(update={"seed": seed})
            method = train_run(one, Path(folder) / str(seed), dataset=data, progress=False).method()
            outputs.append(predict_scenario(method, data, Scenario(split, split)).output[0, 0])
    target = data.target[data.rows(split)].numpy()
    measure = get_protocol("regression").metrics[metric]
    forms = [measure.weighted(output, target) for output in outputs]
    clusters = np.arange(len(target))
    values_ = np.concatenate([form(np.ones((1, len(target)))) for form in forms])
    drawn = resample(forms, clusters, resamples, np.random.default_rng(0))
    return Pool(values_, drawn, (np.stack(outputs)[:, :, 0].astype(np.float64) - target) ** 2)


Flags = tuple[int, int]
"""Flagged comparisons, comparisons."""
Judge = Callable[[np.ndarray], Flags]
"""(methods, seeds) numbers of pool runs → flags."""


def table_judge(pool: Pool, settings: TableSettings, *, higher_is_better: bool, against: str = "baseline") -> Judge:
    """Flags as a table sets them, against the baseline or against the best mean."""

    def flags(deal: np.ndarray) -> Flags:
        labels = [f"erm {number}" for number in range(len(deal))]
        values = {label: dict(enumerate(pool.values[runs].tolist())) for label, runs in zip(labels, deal, strict=True)}
        drawn = {
            (label, seed): pool.resampled[run]
            for label, runs in zip(labels, deal, strict=True)
            for seed, run in enumerate(runs.tolist())
        }
        found = ColumnValues(values, drawn, pool.errors.shape[1], pool.errors.shape[1], "rows")
        cells = compare_methods(found, labels, BASELINE, settings, higher_is_better=higher_is_better)
        if against == "best":
            return sum(cell.mark == "worse" for cell in cells.values()), len(labels) - 1
        return sum(bool(cell.verdict) for cell in cells.values()), len(labels) - 1

    return flags


def rows_judge(pool: Pool) -> Judge:
    """The natural test: a paired t-test over rows of the errors, averaged over seeds, with Holm's correction."""

    def flags(deal: np.ndarray) -> Flags:
        errors = pool.errors[deal].mean(axis=1)
        p = [float(np.asarray(ttest_1samp(other - errors[0], 0.0)[1])) for other in errors[1:]]
        adjusted = corrected(p, "holm")
        return sum(value is not None and value <= 0.05 for value in adjusted), len(p)

    return flags


def simulate(
    judges: dict[str, Judge], methods: int, seeds: int, pool: int, sweeps: int, seed: int = 0
) -> dict[str, Any]:
    """Deal the pool `sweeps` times; judge → flagged share with its interval over sweeps, and share of sweeps with a flag."""
    generator = np.random.default_rng(seed)
    deals = [generator.permutation(pool)[: methods * seeds].reshape(methods, seeds) for _ in range(sweeps)]
    return {name: _summary([flags(deal) for deal in deals]) for name, flags in judges.items()}


def _summary(flags: Sequence[Flags]) -> dict[str, Any]:
    shares = np.asarray([flagged / compared for flagged, compared in flags])
    half = float(t.ppf(0.975, len(shares) - 1)) * float(shares.std(ddof=1)) / np.sqrt(len(shares))
    comparisons = binomtest(sum(f for f, _ in flags), sum(n for _, n in flags)).proportion_ci(method="exact")
    any_flag = binomtest(int((shares > 0).sum()), len(shares))
    among = any_flag.proportion_ci(method="exact")
    return {
        "share": float(shares.mean()),
        "binomial": [float(comparisons.low), float(comparisons.high)],
        "by_sweep": [max(0.0, float(shares.mean()) - half), float(shares.mean()) + half],
        "any": float((shares > 0).mean()),
        "any_interval": [float(among.low), float(among.high)],
    }


def judges_of(pool: Pool, *, higher_is_better: bool) -> dict[str, Judge]:
    """The tests that tables offer, by name, and the wrong one."""
    plain = TableSettings()
    variants = {
        "t over seeds and rows, Holm (default)": plain,
        "t over seeds and rows, Benjamini–Hochberg": replace(plain, correction="benjamini-hochberg"),
        "t over seeds and rows, no correction": replace(plain, correction="none"),
        "sign flips over seeds, Holm": replace(plain, test="permutation"),
        "sign flips over seeds, no correction": replace(plain, test="permutation", correction="none"),
        "Wilcoxon over seeds, no correction": replace(plain, test="wilcoxon", correction="none"),
    }
    found = {
        name: table_judge(pool, settings, higher_is_better=higher_is_better) for name, settings in variants.items()
    }
    best = table_judge(pool, plain, higher_is_better=higher_is_better, against="best")
    return {
        **found,
        "†: worse than the best mean, Bonferroni": best,
        "t over rows of the errors, Holm (wrong)": rows_judge(pool),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sweeps", type=int, default=200)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--split", default="test-iid")
    parser.add_argument("--metric", default="mse")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    given = parser.parse_args()
    runs = given.methods * given.seeds
    pool = train_pool(
        runs, rows=given.rows, epochs=given.epochs, split=given.split, metric=given.metric, resamples=2000
    )
    higher = get_protocol("regression").metrics[given.metric].higher_is_better
    found = simulate(judges_of(pool, higher_is_better=higher), given.methods, given.seeds, runs, given.sweeps)
    print(
        f"{given.sweeps} sweeps of {given.methods} copies of ERM × {given.seeds} seeds from {runs} runs, {given.metric} on "
        f"{given.split} ({pool.errors.shape[1]} rows); share called different at 5 %\n"
    )
    print(
        "| test | comparisons flagged | binomial 95 % | 95 % over sweeps | sweeps with a flag |\n|---|--:|--:|--:|--:|"
    )
    for name, row in found.items():
        spans = [f"{100 * low:.2f}–{100 * high:.2f} %" for low, high in (row["binomial"], row["by_sweep"])]
        low, high = row["any_interval"]
        print(
            f"| {name} | {100 * row['share']:.2f} % | {spans[0]} | {spans[1]} | "
            f"{100 * row['any']:.1f} % ({100 * low:.1f}–{100 * high:.1f}) |"
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

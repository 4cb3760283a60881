"""How often the tests of a table cry wolf: twenty copies of ERM that differ in nothing but their seeds.

    python benchmarks/null_simulation.py [--methods 20] [--seeds 5] [--sweeps 200] [--json FILE]
    python benchmarks/null_simulation.py --grid [ROWS ...] [--sweeps 200] [--json FILE]

Trains a pool of methods × seeds ERM runs on a small synthetic set and keeps what each predicts. A simulated sweep deals
the pool at random to the "methods" and judges them as a table does. Prints the share of comparisons that are called
different, the share of sweeps with at least one, and their 95 % intervals, for the tests of the tables and for the natural
but wrong test over rows, which takes the trained models for the methods.

With `--grid`, answers are drawn instead, over seeds, rows and metrics: on few rows accuracies tie. Prints the share of
tables with a mark among methods that are one and the same, and the share in which one that is truly better is found.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
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
from deconfound.tables.compare_methods import ComparisonCell, compare_methods
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


def table_cells(
    pool: Pool, deal: np.ndarray, settings: TableSettings, *, higher_is_better: bool
) -> list[ComparisonCell]:
    """A table's column for (methods, seeds) dealt runs; the first method is the baseline."""
    labels = [f"erm {number}" for number in range(len(deal))]
    values = {label: dict(enumerate(pool.values[runs].tolist())) for label, runs in zip(labels, deal, strict=True)}
    drawn = {
        (label, seed): pool.resampled[run]
        for label, runs in zip(labels, deal, strict=True)
        for seed, run in enumerate(runs.tolist())
    }
    column = ColumnValues(values, drawn, pool.errors.shape[1], pool.errors.shape[1], "rows")
    cells = compare_methods(column, labels, BASELINE, settings, higher_is_better=higher_is_better)
    return [cells[label] for label in labels]


def table_judge(pool: Pool, settings: TableSettings, *, higher_is_better: bool, against: str = "baseline") -> Judge:
    """Flags as a table sets them, against the baseline or against the best mean."""

    def flags(deal: np.ndarray) -> Flags:
        cells = table_cells(pool, deal, settings, higher_is_better=higher_is_better)
        if against == "best":
            return sum(cell.mark == "worse" for cell in cells), len(cells) - 1
        return sum(bool(cell.verdict) for cell in cells), len(cells) - 1

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


SEEDS, ROWS, METRICS = (2, 3, 5, 8), (20, 60, 200, 1000), ("accuracy", "mae", "macro-f1")
WORLDS = 20
RESAMPLES = 200
GAIN = 0.05
"""By which the better method is more accurate, on average."""


def drawn_pool(metric: str, rows: int, runs: int, better: int, generator: np.random.Generator) -> Pool:
    """Runs of one method on new rows, the last `better` of them with `GAIN` more accuracy.

    A row is as hard for all runs, a run as good on all rows, and each run has its own luck with each row. The better runs
    of a regression have three quarters of the error.
    """
    own = generator.normal(size=(runs, rows))
    of_run, of_row = generator.normal(size=(runs, 1)), generator.normal(size=rows)
    gains = np.arange(runs) >= runs - better
    kind = "regression" if metric == "mae" else "classification"
    measure = get_protocol(kind).metrics[metric]
    if kind == "regression":
        target = generator.normal(size=rows).astype(np.float32)
        errors = (0.6 * of_row + 0.02 * of_run + 0.5 * own) * np.where(gains, 0.75, 1.0)[:, None]
        outputs = (target + errors)[:, :, None].astype(np.float32)
    else:
        target = generator.choice(3, size=rows, p=(0.5, 0.3, 0.2))
        right = 0.6 + of_row + 0.03 * of_run + 0.6 * own > 0
        right |= gains[:, None] & (generator.random((runs, rows)) < GAIN / (1 - right.mean()))
        answers = np.where(right, target, (target + 1 + generator.integers(0, 2, (runs, rows))) % 3)
        outputs = np.eye(3, dtype=np.float32)[answers]
    forms = [measure.weighted(output, target) for output in outputs]
    values = np.concatenate([form(np.ones((1, rows))) for form in forms])
    return Pool(values, resample(forms, np.arange(rows), RESAMPLES, generator), np.zeros((runs, rows)))


@dataclass(frozen=True)
class Shares:
    """Shares of the tables of one cell.

    Args:
        marked: all methods are equal, and one or more are called better or worse than the baseline.
        excluded: the same, one or more are called worse than the best mean.
        found: one method is better than the others, and called better than the baseline.
    """

    marked: float
    excluded: float
    found: float


def grid_cell(pools: Sequence[Pool], seeds: int, methods: int, tables: int, *, higher_is_better: bool) -> Shares:
    """Deal tables from pools that have a method's runs and, at the end, `seeds` or more better ones."""
    generator, settings = np.random.default_rng(seeds), TableSettings()
    counts = np.zeros(3)
    for number in range(tables):
        pool = pools[number % len(pools)]
        equal = len(pool.values) - max(SEEDS)
        deal = generator.permutation(equal)[: methods * seeds].reshape(methods, seeds)
        cells = table_cells(pool, deal, settings, higher_is_better=higher_is_better)
        deal[1] = equal + generator.permutation(max(SEEDS))[:seeds]
        better = table_cells(pool, deal, settings, higher_is_better=higher_is_better)[1]
        counts += [
            any(cell.verdict for cell in cells),
            any(cell.mark == "worse" for cell in cells),
            better.verdict == "better",
        ]
    return Shares(*(counts / tables).tolist())


def print_grid(methods: int, tables: int, row_counts: Sequence[int]) -> dict[str, dict[str, float]]:
    """Print one line for each metric and number of rows."""
    print(
        f"{tables} tables of {methods} methods in each cell, {WORLDS} sets of rows, {RESAMPLES} resamples; tables with a "
        "mark though all methods are equal / tables that find one better method\n"
    )
    print("| metric | rows |" + "".join(f" {seeds} seeds |" for seeds in SEEDS) + "\n|---|--:|" + "--:|" * len(SEEDS))
    shares: dict[str, dict[str, float]] = {}
    for metric in METRICS:
        for rows in row_counts:
            generator = np.random.default_rng([rows, METRICS.index(metric)])
            runs = methods * max(SEEDS) + max(SEEDS)
            pools = [drawn_pool(metric, rows, runs, max(SEEDS), generator) for _ in range(WORLDS)]
            cells = [grid_cell(pools, n, methods, tables, higher_is_better=metric != "mae") for n in SEEDS]
            texts = [f"{100 * cell.marked:.1f} % / {100 * cell.found:.0f} %" for cell in cells]
            print(f"| {metric} | {rows} | " + " | ".join(texts) + " |", flush=True)
            shares |= {f"{metric}, {rows} rows, {n} seeds": asdict(c) for n, c in zip(SEEDS, cells, strict=True)}
    return shares


def print_trained(given: argparse.Namespace) -> dict[str, Any]:
    """Train the pool and print one line for each test."""
    runs = given.methods * given.seeds
    pool = train_pool(
        runs, rows=given.rows, epochs=given.epochs, split=given.split, metric=given.metric, resamples=2000
    )
    judges = judges_of(pool, higher_is_better=get_protocol("regression").metrics[given.metric].higher_is_better)
    found = simulate(judges, given.methods, given.seeds, runs, given.sweeps)
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
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sweeps", type=int, default=200, help="simulated tables, of each cell of the grid too")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--split", default="test-iid")
    parser.add_argument("--metric", default="mse")
    parser.add_argument(
        "--grid", type=int, nargs="*", metavar="ROWS", help="draw answers over seeds, rows and metrics instead"
    )
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    given = parser.parse_args()
    on_grid = given.grid is not None
    numbers = print_grid(given.methods, given.sweeps, given.grid or ROWS) if on_grid else print_trained(given)
    if given.json:
        given.json.write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What the table scripts share: train and evaluate methods × seeds, resumable, and join their records."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deconfound.evaluation.records import frame, read_records
from deconfound.evaluation.scenario import Scenario
from deconfound.runs.run import Run
from deconfound.runs.spec import Spec
from deconfound.statistics.student import paired_interval as paired
from deconfound.training.train import train_run

Job = tuple[Mapping[str, Any], Path, Sequence[Scenario] | None]
"""Values of a specification, the run directory, and what is evaluated: the default scenarios if None."""


def job(values: Mapping[str, Any], folder: Path, scenarios: Sequence[Scenario] | None = None) -> Path:
    """Train and evaluate one specification; what was trained or predicted is not done again."""
    train_run(Spec.of(values), folder, progress=False).evaluate(scenarios)
    return folder


def run_jobs(jobs: Sequence[Job], workers: int) -> list[Path]:
    """The folders of the jobs, made by `workers` processes of one thread each."""
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(job, *each) for each in jobs]
        for number, future in enumerate(futures, 1):
            print(f"{number}/{len(jobs)} {future.result()}", flush=True)
    return [each[1] for each in jobs]


def one_thread(configuration: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The values of a specification for one seed, on one thread of the CPU."""
    train = {"threads": 1, "accelerator": "cpu", **configuration.get("train", {})}
    return {**configuration, "seed": seed, "train": train}


def run_grid(configurations: Sequence[Mapping[str, Any]], seeds: Sequence[int], out: Path, workers: int) -> list[Path]:
    """One run directory per configuration and seed under `out`."""
    jobs: list[Job] = [
        (one_thread(configuration, seed), out / f"{configuration['name'].replace(' ', '-')}-{seed}", None)
        for configuration in configurations
        for seed in seeds
    ]
    return run_jobs(jobs, workers)


def table(folders: Sequence[Path]) -> pd.DataFrame:
    """All records of the runs."""
    return frame([record for folder in folders for record in read_records(folder / "records.jsonl")])


def mean_sd(values: Sequence[float] | np.ndarray) -> str:
    """ "0.226 ± 0.004" with the standard deviation over seeds."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def paired_interval(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> str:
    """Mean of a − b over seeds with its 95 % t-interval, as "−0.010 [−0.015, −0.005]", without one for equal seeds."""
    interval = paired(dict(enumerate(map(float, a))), dict(enumerate(map(float, b))))
    assert interval is not None, "there are seeds"
    ends = "" if interval.low is None else f" [{interval.low:+.3f}, {interval.high:+.3f}]"
    return f"{interval.mean:+.3f}{ends}"


def best_risk(folder: Path) -> float:
    """The validation risk by which the run's epoch was selected."""
    done = Run.open(folder).done
    assert done is not None
    return done["best_risk"]

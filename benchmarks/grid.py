"""What the table scripts share: train and evaluate methods × seeds, resumable, and join their records."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from deconfound.records import frame, read_records
from deconfound.run import Run
from deconfound.spec import Spec
from deconfound.train import train_run


def job(values: Mapping[str, Any], folder: Path) -> Path:
    """Train and evaluate one specification; what was trained or predicted is not done again."""
    train_run(Spec.of(values), folder, progress=False).evaluate()
    return folder


def run_grid(configurations: Sequence[Mapping[str, Any]], seeds: Sequence[int], out: Path, workers: int) -> list[Path]:
    """One run directory per configuration and seed under `out`, made by `workers` processes of one thread each."""
    jobs = []
    for configuration in configurations:
        train = {"threads": 1, "accelerator": "cpu", **configuration.get("train", {})}
        for seed in seeds:
            values = {**configuration, "seed": seed, "train": train}
            jobs.append((values, out / f"{configuration['name'].replace(' ', '-')}-{seed}"))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(job, *each) for each in jobs]
        for number, future in enumerate(futures, 1):
            print(f"{number}/{len(jobs)} {future.result()}", flush=True)
    return [folder for _, folder in jobs]


def table(folders: Sequence[Path]) -> pd.DataFrame:
    """All records of the runs."""
    return frame([record for folder in folders for record in read_records(folder / "records.jsonl")])


def mean_sd(values: Sequence[float] | np.ndarray) -> str:
    """ "0.226 ± 0.004" with the standard deviation over seeds."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def paired_interval(a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray) -> str:
    """Mean of a − b over seeds with its 95 % t-interval, as "−0.010 [−0.015, −0.005]"."""
    difference = np.asarray(a) - np.asarray(b)
    interval = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
    return f"{difference.mean():+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def best_risk(folder: Path) -> float:
    """The validation risk by which the run's epoch was selected."""
    done = Run.open(folder).done
    assert done is not None
    return done["best_risk"]

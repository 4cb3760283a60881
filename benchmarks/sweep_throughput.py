"""How much faster a sweep is with two worker processes than with one job after the other, and that the records agree.

    OMP_NUM_THREADS=1 python benchmarks/sweep_throughput.py --jobs 16 --epochs 20

Times are wall time of the whole call, the start of the workers included; on a machine with other work the ratio is lower.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from deconfound.executors import Resources, cores
from deconfound.sweep import run_sweep
from deconfound.sweep_spec import SweepSpec


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=16, help="training runs, half ERM and half CmIR")
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--rows", type=int, default=1000)
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    spec = SweepSpec.of(
        {
            "seeds": max(1, given.jobs // 2),
            "base": {"train": {"epochs": given.epochs, "patience": given.epochs, "accelerator": "cpu"}},
            "dataset": [{"name": "synthetic", "synthetic": {"rows": given.rows}}],
            "method": [{"name": "erm"}, {"name": "cmir"}],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        seconds, kept = {}, {}
        for executor, workers in (("serial", None), ("processes", given.workers)):
            out, began = Path(folder) / executor, time.perf_counter()
            summary = run_sweep(spec, out, executor=executor, resources=Resources(workers), progress=False)
            seconds[executor] = time.perf_counter() - began
            kept[executor] = [(run / "records.jsonl").read_bytes() for run in summary.runs]
    runs = len(spec.seeds) * len(spec.method)
    print(f"{runs} runs of {given.epochs} epochs on {given.rows} rows; {cores()} cores, load {os.getloadavg()[0]:.1f}")
    for executor, spent in seconds.items():
        print(f"{executor:10} {spent:7.1f} s   {runs / spent * 60:6.1f} runs per minute")
    print(f"throughput, {given.workers} workers / serial: {seconds['serial'] / seconds['processes']:.2f}")
    print(f"records equal byte for byte: {kept['serial'] == kept['processes']}")


if __name__ == "__main__":
    main()

"""How much faster a sweep is with two worker processes than with one job after the other, and that the records agree.

    OMP_NUM_THREADS=1 python benchmarks/sweep_throughput.py --jobs 16 --epochs 20

Times are of the whole call, the start of the workers included. On a machine with other work the ratio is lower; the CPU
seconds then still say what the workers cost.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from deconfound.sweeps.executors import Resources, cores
from deconfound.sweeps.spec import SweepSpec
from deconfound.sweeps.sweep import run_sweep


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
        seconds, busy, kept = {}, {}, {}
        for executor, workers in (("serial", None), ("processes", given.workers)):
            out, began, used = Path(folder) / executor, time.perf_counter(), cpu_seconds()
            summary = run_sweep(spec, out, executor=executor, resources=Resources(workers), progress=False)
            seconds[executor], busy[executor] = time.perf_counter() - began, cpu_seconds() - used
            kept[executor] = [(run / "records.jsonl").read_bytes() for run in summary.runs]
    runs = len(spec.seeds) * len(spec.method)
    print(f"{runs} runs of {given.epochs} epochs on {given.rows} rows; {cores()} cores, load {os.getloadavg()[0]:.1f}")
    for executor, spent in seconds.items():
        rate = f"{runs / spent * 60:6.1f} runs per minute"
        print(f"{executor:10} {spent:7.1f} s   {rate}   {busy[executor]:7.1f} CPU seconds")
    print(f"throughput, {given.workers} workers / serial: {seconds['serial'] / seconds['processes']:.2f}")
    print(f"records equal byte for byte: {kept['serial'] == kept['processes']}")


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()

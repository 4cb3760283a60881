"""Wall seconds of a small training with each number of CPU threads and way of waiting, alone and beside a busy neighbour.

python benchmarks/threads.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

TRAIN = """
import sys, time, warnings
import deconfound as dc
warnings.simplefilter("ignore")
data = dc.synthetic(rows=300)
train = {"epochs": 10, "accelerator": "cpu", "threads": THREADS}
run = dc.fit(data, "erm", out=sys.argv[1], train=train, progress=False)
print(run.done["seconds"])
"""
BUSY = "import torch\na = torch.randn(600, 600)\nwhile True: a @ a"
WAITING = {"active (PyTorch's default)": {}, "passive": {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}}


def seconds(threads: int | None, waiting: dict[str, str]) -> float:
    """Of one training in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in WAITING["passive"]} | waiting
    environment.pop("OMP_NUM_THREADS", None)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TRAIN.replace("THREADS", repr(threads)), f"{folder}/run"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--neighbours", type=int, nargs="*", default=[0, 2], help="busy processes beside it")
    options = parser.parse_args()
    print("| neighbours | threads | waiting | seconds, lowest to highest |\n|---|---|---|---|")
    for count in options.neighbours:
        neighbours = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
        try:
            for threads in (1, None):
                for waiting, environment in WAITING.items():
                    took = sorted(seconds(threads, environment) for _ in range(options.repeats))
                    shown = "1" if threads else f"all ({os.cpu_count()})"
                    print(f"| {count} | {shown} | {waiting} | {' · '.join(f'{t:.2f}' for t in took)} |", flush=True)
        finally:
            for neighbour in neighbours:
                neighbour.kill()
                neighbour.wait()


if __name__ == "__main__":
    main()

"""Peak memory of `deconfound data import --format mmsa` as a multiple of the file, and its time beside `pickle.load`.

    python benchmarks/import_memory.py --megabytes 500 --protocol 4 --dtype float32

Writes a pickle of that size to a scratch folder, imports it in a process of its own, and prints one JSON line: `peak`
is the greatest resident memory of that process, `base` the part that is there before the file is opened (Python,
torch), both in MB, and `multiple` is (peak - base) / file. `times` is the processor time of reading over that of
`pickle.load`, which checks nothing: the least of three each, in turn, on one thread, in a second process. Linux only:
`ru_maxrss` of a child would count its parent's memory too.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

IMPORT = """
import json, re, sys
from pathlib import Path
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
import pandas
from deconfound.datasets.readers.mmsa import read_mmsa
from deconfound.data.store import save
base = peak()
dataset = read_mmsa(sys.argv[1])
read = peak()
save(dataset, sys.argv[2])
print(json.dumps({"base": base, "read": read, "peak": peak(), "rows": len(dataset)}))
"""
TIMES = """
import pickle, sys, time
import torch
from deconfound.datasets.readers.mmsa import read_mmsa
torch.set_num_threads(1)
def took(read):
    began = time.process_time()
    content = read()
    return time.process_time() - began
def load():
    with open(sys.argv[1], "rb") as file:
        return pickle.load(file)
rounds = [(took(load), took(lambda: read_mmsa(sys.argv[1]))) for _ in range(3)]
print(min(read for _, read in rounds) / min(loaded for loaded, _ in rounds))
"""
SHAPES = {"text": (50, 768), "audio": (375, 5), "vision": (500, 20)}
SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}


def write(path: Path, size: int, dtype: str, protocol: int) -> None:
    """A pickle of about `size` bytes with the shapes of CMU-MOSEI and unequal lengths."""
    generator = np.random.default_rng(0)
    row = sum(steps * width for steps, width in SHAPES.values()) * np.dtype(dtype).itemsize
    splits: dict[str, dict[str, object]] = {}
    for split, share in SHARES.items():
        rows = max(2, int(size * share / row))
        part: dict[str, object] = {"id": [f"{split}{i // 9}$_${i % 9}" for i in range(rows)]}
        part["raw_text"] = ["some words of a sentence " * 5 + str(i) for i in range(rows)]
        part["regression_labels"] = generator.uniform(-3, 3, rows).astype(np.float32)
        for modality, (steps, width) in SHAPES.items():
            lengths = generator.integers(1, steps + 1, rows)
            values = generator.random((rows, steps, width), dtype=np.float32).astype(dtype)
            values[np.arange(steps) >= lengths[:, None]] = 0
            part |= {modality: values, f"{modality}_lengths": lengths.tolist()}
        splits[split] = part
    with open(path, "wb") as file:
        pickle.dump(splits, file, protocol=protocol)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--protocol", type=int, default=4, choices=range(6))
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.pkl"
        write(path, options.megabytes * 10**6, options.dtype, options.protocol)
        started = time.perf_counter()
        command = [sys.executable, "-c", IMPORT, str(path), str(Path(folder) / "store")]
        measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        seconds = time.perf_counter() - started
        command = [sys.executable, "-c", TIMES, str(path)]
        times = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        size = path.stat().st_size
    result = {"file_mb": size / 1e6, **{key: measured[key] / 1e6 for key in ("base", "read", "peak")}}
    result |= {"multiple": (measured["peak"] - measured["base"]) / size, "rows": measured["rows"], "seconds": seconds}
    result["times"] = times
    rounded = {key: round(value, 2) for key, value in result.items()}
    print(json.dumps({**rounded, "protocol": options.protocol, "dtype": options.dtype}))


if __name__ == "__main__":
    main()

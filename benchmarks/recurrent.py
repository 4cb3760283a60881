"""Test scores and CPU seconds of the recurrent encoders on two real sets: CMU-MOSI's words, and spoken digits.

    python benchmarks/recurrent.py --data FOLDER [--seeds 5]

FOLDER holds mosi/unaligned_30.pkl and av-digits/fsdd_logmel.npz. `erm` with the text of MOSI alone (30 × 64; MAE, lower is
better) and the digits' audio alone (40 × 32, one speaker for validation and one for test; accuracy, higher is better). All
defaults but 15 epochs, early stopping, one thread. Seconds are processor time of a training, the median over seeds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

import deconfound as dc
from deconfound.data.dataset import Dataset
from deconfound.datasets.readers.mmsa import read_mmsa

ENCODERS = ("gru", "lstm")


def digits(path: Path) -> Dataset:
    """The audio of the spoken digits, split by speaker."""
    with np.load(path) as arrays:
        speakers, audio, labels = arrays["speaker"], arrays["X"].astype(np.float32), arrays["y"]
    names = sorted(set(speakers.tolist()))
    split = dict.fromkeys(names, "train") | {names[-2]: "valid", names[-1]: "test"}
    signals = {"audio": audio}
    return dc.dataset(
        target=labels, task="classification", split=[split[s] for s in speakers.tolist()], modalities=signals
    )


def score(data: Dataset, encoder: str, seed: int, metric: str, epochs: int) -> tuple[float, float]:
    """Test score and CPU seconds of one training."""
    (modality,) = data.signals
    train = {"epochs": epochs, "accelerator": "cpu", "threads": 1}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.process_time()
        backbone = {"encoders": {modality: encoder}}
        run = dc.fit(data, "erm", out=f"{folder}/run", backbone=backbone, train=train, seed=seed, progress=False)
        took = time.process_time() - began
        batch = data.batch("test")
        with torch.no_grad():
            output = run.method()(batch)
    if metric == "accuracy":
        return float((output.argmax(1) == batch.target).double().mean()), took
    return float((output.squeeze(1) - batch.target).abs().mean()), took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = {
        "MOSI text, MAE": (read_mmsa(options.data / "mosi" / "unaligned_30.pkl").only("text"), "mae"),
        "spoken digits, accuracy": (digits(options.data / "av-digits" / "fsdd_logmel.npz"), "accuracy"),
    }
    print("| set | encoder | mean | sd | scores | CPU s |\n|---|---|---|---|---|---|")
    for title, (data, metric) in sets.items():
        for encoder in ENCODERS:
            results = [score(data, encoder, seed, metric, options.epochs) for seed in range(options.seeds)]
            scores = [value for value, _ in results]
            took = statistics.median(seconds for _, seconds in results)
            shown = " ".join(f"{value:.3f}" for value in scores)
            mean, spread = statistics.mean(scores), statistics.stdev(scores)
            print(f"| {title} | `{encoder}` | {mean:.3f} | {spread:.3f} | {shown} | {took:.1f} |", flush=True)


if __name__ == "__main__":
    main()

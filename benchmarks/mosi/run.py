"""CMU-MOSI: ERM on text, text + audio and all three modalities, and CmIR on all three.

    python benchmarks/mosi/run.py --data unaligned_30.pkl --out runs/mosi [--seeds 5] [--workers 2]

Protocol "mmsa-regression". The epoch is selected by validation MAE (L1 risk); nothing is tuned on test rows. `valid` has 12
videos and `test` 19, none of them in training; the vision features were learned on the training videos. Paired intervals are
95 % percentile bootstraps over the test videos (rows of a video go together) of the difference in MAE, averaged over seeds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from grid import best_risk, mean_sd, run_grid, table

from deconfound.data.dataset import Dataset
from deconfound.data.store import open_store, save
from deconfound.datasets.readers.mmsa import read_mmsa
from deconfound.evaluation.predictions import load_predictions
from deconfound.report import build_report

EVERY = ["text", "audio", "vision"]
RUNS: list[dict[str, Any]] = [
    {"name": "erm text", "method": "erm", "data": {"modalities": ["text"]}},
    {"name": "erm text+audio", "method": "erm", "data": {"modalities": ["text", "audio"]}},
    {"name": "erm all", "method": "erm", "data": {"modalities": EVERY}},
    {"name": "cmir all", "method": "cmir", "data": {"modalities": EVERY}},
    {"name": "cmir both all", "method": {"name": "cmir", "predict_on": "both"}, "data": {"modalities": EVERY}},
]
BACKBONE = {"encoders": {"text": "mlp"}, "dropout": 0.3}
COLUMNS = {
    "MAE": ("mae", "test", 0.0),
    "Corr": ("corr", "test", 0.0),
    "Acc-2 (has0)": ("acc-2-has0", "test", 0.0),
    "Acc-7": ("acc-7", "test", 0.0),
    "MAE, noise 0.5": ("mae", "gaussian", 0.5),
    "MAE, noise 1": ("mae", "gaussian", 1.0),
    "MAE, half the frames": ("mae", "drop-frames", 0.5),
    "MAE, no text": ("mae", "present=audio+vision", 0.0),
    "MAE, no audio": ("mae", "present=text+vision", 0.0),
    "MAE, no vision": ("mae", "present=text+audio", 0.0),
}


def errors(folders: list[Path]) -> np.ndarray:
    """(N,) absolute error of every test row, mean over seeds."""
    kept = [load_predictions(folder / "predictions" / "test.npz") for folder in folders]
    return np.mean([np.abs(each.output[0, 0, :, 0] - each.target) for each in kept], axis=0)


def bootstrap(difference: np.ndarray, video: np.ndarray, draws: int = 10_000) -> str:
    """Mean of a per-row difference with its 95 % interval, resampling videos."""
    names, codes = np.unique(video, return_inverse=True)
    sums, sizes = np.bincount(codes, difference), np.bincount(codes)
    picks = np.random.default_rng(0).integers(len(names), size=(draws, len(names)))
    means = sums[picks].sum(1) / sizes[picks].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the pickle in the field's layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    store = options.out / "store"
    if not store.exists():
        save(read_mmsa(options.data, name="mosi"), store)
    data: Dataset = open_store(store)
    runs = [{**each, "data": {**each["data"], "store": str(store.resolve())}, "backbone": BACKBONE} for each in RUNS]
    folders = run_grid(runs, range(options.seeds), options.out, options.workers)
    groups = {each["name"]: folders[i * options.seeds : (i + 1) * options.seeds] for i, each in enumerate(RUNS)}
    records = table(folders)
    records = records[records["group"] == "all"]
    rows = data.rows("test")
    video = data.columns["video"].values[rows.start : rows.stop]
    lines = [
        "| method | valid MAE | " + " | ".join(COLUMNS) + " | MAE − erm text [95 %] | MAE − erm all [95 %] |",
        "|" + "---|" * (len(COLUMNS) + 4),
    ]
    for name, group in groups.items():
        cells = [mean_sd([best_risk(folder) for folder in group])]
        for metric, scenario, severity in COLUMNS.values():
            chosen = records[
                (records["method"] == name)
                & (records["metric"] == metric)
                & (records["scenario"] == scenario)
                & (records["severity"] == severity)
            ]
            cells.append(mean_sd(chosen.groupby("seed")["value"].mean()) if len(chosen) else "–")
        for reference in ("erm text", "erm all"):
            difference = errors(group) - errors(groups[reference])
            cells.append("" if name == reference else bootstrap(difference, video))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    text = "\n".join(lines)
    (options.out / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    print(build_report(folders, options.out / "report.html"))


if __name__ == "__main__":
    main()

"""ERM and CmIR on the synthetic default: in distribution, flipped, ρ = 0, noise, and what CmIR's parts hold.

    python benchmarks/synthetic/run.py --out runs/synthetic [--seeds 5] [--workers 2]

Protocol "regression" (mean squared error; 1.0 predicts the mean, 0.2 is the best from the causes alone). The epoch is selected
by validation risk in the training environments; nothing is tuned on test splits. Each seed draws its own mechanism and rows
as well as weights, so the spread is over problems. Probes: kernel ridge regression from a part of the representation to the
true latents, fitted on one half of "test-zero" (ρ = 0, where C and S are independent) and scored on the other.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1]))
from grid import mean_sd, paired_interval, run_grid, table

from deconfound.methods.cmir import CmIR
from deconfound.report import build_report
from deconfound.run import Run

METHODS: dict[str, Any] = {
    "erm": "erm",
    "cmir": "cmir",
    "cmir both": {"name": "cmir", "predict_on": "both"},
}
COLUMNS = {
    "in distribution": ("test-iid", 0.0),
    "flipped": ("test-flip", 0.0),
    "ρ = 0": ("test-zero", 0.0),
    "noise 0.5": ("gaussian", 0.5),
    "noise 1.0": ("gaussian", 1.0),
}


def r2(features: np.ndarray, latents: np.ndarray) -> float:
    """Share of the latents' variance that an RBF kernel ridge explains on held-out rows."""
    half = len(features) // 2
    x = StandardScaler().fit_transform(features)
    model = KernelRidge(kernel="rbf", gamma=1 / x.shape[1], alpha=0.1).fit(x[:half], latents[:half])
    return float(model.score(x[half:], latents[half:]))


def probe(folder: Path) -> dict[str, float]:
    """R² of causal and spurious latents from each part, mean over modalities."""
    run = Run.open(folder)
    method, data = run.method(), run.dataset()
    rows = data.rows("test-zero")
    with torch.no_grad():
        batch = data.batch("test-zero")
        encoded = method.backbone.encode(batch)
        parts = {"features": encoded}
        if isinstance(method, CmIR):
            split = method.representations(batch)
            parts = {"Z_inv": split.predictive, "Z_spu": split.spurious}
    return {
        f"{latent} from {part}": float(
            np.mean(
                [
                    r2(z.numpy(), data.latents[f"{latent}/{m}"][rows.start : rows.stop].numpy())
                    for m, z in features.items()
                ]
            )
        )
        for part, features in parts.items()
        for latent in ("C", "S")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    folders: dict[str, list[Path]] = {name: [] for name in METHODS}
    for seed in range(options.seeds):
        data = {"synthetic": {"seed": seed}}
        runs = [{"name": name, "method": method, "data": data} for name, method in METHODS.items()]
        for name, folder in zip(METHODS, run_grid(runs, [seed], options.out, options.workers), strict=True):
            folders[name].append(folder)
    records = table([folder for group in folders.values() for folder in group])
    records = records[(records["metric"] == "mse") & (records["group"] == "all")]

    def values(name: str, scenario: str, severity: float) -> np.ndarray:
        chosen = records[
            (records["method"] == name) & (records["scenario"] == scenario) & (records["severity"] == severity)
        ]
        return chosen.groupby("seed")["value"].mean().sort_index().to_numpy()

    lines = ["| method | " + " | ".join(COLUMNS) + " |", "|" + "---|" * (len(COLUMNS) + 1)]
    lines += [
        f"| {name} | " + " | ".join(mean_sd(values(name, *cell)) for cell in COLUMNS.values()) + " |"
        for name in METHODS
    ]
    for name in list(METHODS)[1:]:
        cells = [paired_interval(values(name, *cell), values("erm", *cell)) for cell in COLUMNS.values()]
        lines.append(f"| {name} − erm [95 %] | " + " | ".join(cells) + " |")
    lines += ["", "| R² of true latents | mean ± sd |", "|---|---|"]
    for name, group in folders.items():
        found = [probe(folder) for folder in group]
        lines += [f"| {name}: {key} | {mean_sd([each[key] for each in found])} |" for key in found[0]]
    text = "\n".join(lines)
    (options.out / "table.md").write_text(text + "\n", encoding="utf-8")
    print(text)
    print(build_report([folder for group in folders.values() for folder in group], options.out / "report.html"))


if __name__ == "__main__":
    main()

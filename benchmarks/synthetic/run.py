"""ERM and CmIR on the synthetic default: in distribution, flipped, ρ = 0, noise, and what CmIR's parts hold.

    python benchmarks/synthetic/run.py --out runs/synthetic [--seeds 5] [--workers 2]

Protocol "regression" (mean squared error; 1.0 predicts the mean, 0.2 is the best from the causes alone). The epoch is selected
by validation risk in the training environments; nothing is tuned on test splits. Each seed draws its own mechanism and rows
as well as weights, so the spread is over problems. Probes: `deconfound.diagnostics.recovery`, the kernel R² of true latents
from a part of the representation, on "test-zero" (ρ = 0, where C and S are independent).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from grid import mean_sd, paired_interval, run_grid, table

from deconfound.diagnostics import recovery
from deconfound.diagnostics.rows import observe
from deconfound.report import build_report
from deconfound.runs.run import Run

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


def probe(folder: Path) -> dict[str, float]:
    """R² of causal and spurious latents from each part, mean over modalities."""
    run = Run.open(folder)
    found = observe(run.method(), run.dataset(), "test-zero")[0]
    names = {"predictive": "Z_inv", "spurious": "Z_spu"} if found.spurious else {"predictive": "features"}
    scores: dict[str, list[float]] = {}
    for modality in found.present:
        parts = {names[part]: values[modality] for part, values in found.parts.items()}
        true = {latent: found.latents[f"{latent}/{modality}"] for latent in ("C", "S")}
        for (part, latent), r2 in recovery(parts, true).items():
            assert r2.kernel is not None, "test-zero has hundreds of rows and no constant latent"
            scores.setdefault(f"{latent} from {part}", []).append(r2.kernel)
    return {name: float(np.mean(values)) for name, values in scores.items()}


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

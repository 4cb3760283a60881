"""Which formula is exact on which graph: mean largest error over random models, by exact enumeration.

    python benchmarks/front_door/exactness.py [--models 200] [--seed 0]

Every model has the tables of `DiscreteSCM.random`, three values of the mediator and of U, two of all else. Prints
Markdown; 0 stands for less than 1e-9 in every model.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from deconfound.causal import EXAMPLES, FORMULAS, DiscreteSCM
from deconfound.causal.effects import evaluate

COLUMNS = (
    "naive",
    "back-door",
    "front-door",
    "randomised-mediator",
    "beta-front-door",
    "joint-mediators",
    "mediator",
    "mediator-plain",
    "beta-front-door-given",
    "naive-given",
)


def errors(name: str, models: int, generator: torch.Generator) -> dict[str, np.ndarray]:
    """Formula → (models,) largest error over the values of its result."""
    found: dict[str, list[float]] = {column: [] for column in COLUMNS}
    for _ in range(models):
        model = DiscreteSCM.random(EXAMPLES[name].graph, generator, {"z": 3, "u": 3})
        truth = {"xy": model.effect(), "xay": model.effect_given(), "zy": model.mediator_effect()}
        p = model.observed()
        for column in COLUMNS:
            found[column].append(float(np.abs(evaluate(column, p) - truth[FORMULAS[column].result]).max()))
    return {column: np.array(values) for column, values in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    generator = torch.Generator().manual_seed(given.seed)
    print(f"| graph | {' | '.join(COLUMNS)} |\n|---|{'--:|' * len(COLUMNS)}")
    for name, example in EXAMPLES.items():
        found = errors(name, given.models, generator)
        cells = ["0" if found[c].max() < 1e-9 else f"{found[c].mean():.3f}".lstrip("0") for c in COLUMNS]
        print(f"| {name}: {example.about} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

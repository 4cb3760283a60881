"""What a nearly deterministic mediator costs, and what noise of our own making does to the front-door formula.

    python benchmarks/front_door/positivity.py [--models 200] [--seed 0]

First table: graph g3 with binary X and A and four values of Z. The mediator is g(x, a) = 2x + a with probability 1 − ε
and one of the four values at random with ε, so that ε is all the spread it has. Each of the random models is sampled
once per size; the error is the largest over P(y | do(x)). Without rows, cells are left out and the other weights scaled
to one, as `deconfound causal estimate` does. "lost" is the mean over models of the largest share of the weight that is
left out.

Second table: the noise is added by us. Z is x with noise of strength ε, but Y is caused by x itself and by U, not by Z.
The effect that the front-door formula reports is set beside the true one, from exact tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import torch

from deconfound.causal import EXAMPLES, DiscreteSCM, Graph, count_rows, front_door, support
from deconfound.causal.effects import complete, evaluate

NOISE = (0.6, 0.3, 0.1, 0.03, 0.01, 0.0)
SIZES = (2_000, 20_000, 200_000)


def near_deterministic(generator: torch.Generator, noise: float) -> DiscreteSCM:
    """A random model on g3 whose mediator is 2x + a up to noise; the table of z has the axes (x, a, z)."""
    model = DiscreteSCM.random(EXAMPLES["g3"].graph, generator, {"z": 4, "u": 3})
    assert model.parents("z") == ("x", "a")
    return model.with_table("z", (1 - noise) * np.eye(4).reshape(2, 2, 4) + noise / 4)


def errors(noise: float, rows: int, models: int, seed: int) -> dict[str, list[float]]:
    """Largest error of equation (2) and of P(y | x) from samples, and the share of weight that is lost."""
    found: dict[str, list[float]] = {"beta-front-door": [], "naive": [], "lost": []}
    generator = torch.Generator().manual_seed(seed)
    for _ in range(models):
        model = near_deterministic(generator, noise)
        graph, truth = model.graph, model.effect()
        counts = count_rows(model.sample(rows, generator), graph)
        for name in ("beta-front-door", "naive"):
            value = complete(evaluate(name, counts.cells), partial=True)
            found[name].append(float(np.abs(value - truth).max()))
        found["lost"].append(float(support("beta-front-door", counts, graph).missing.max()))
    return found


def own_noise(noise: float, generator: torch.Generator) -> tuple[float, float]:
    """(reported, true) largest difference between two values of x, where the noise in Z is ours."""
    graph = Graph.of("u -> x -> z", "x -> y", "u -> y", latent=["u"])
    model = DiscreteSCM.random(graph, generator, {"z": 2, "u": 3})
    model = model.with_table("z", (1 - noise) * np.eye(2) + noise / 2)
    reported, true = front_door(model.observed()), model.effect()
    return float(np.ptp(reported, axis=0).max()), float(np.ptp(true, axis=0).max())


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _short(value: float) -> str:
    return f"{value:.3f}".lstrip("0")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(_row("ε", [f"{noise:g}" for noise in NOISE]) + f"\n|---|{'--:|' * len(NOISE)}")
    for rows in SIZES:
        found = [errors(noise, rows, given.models, given.seed) for noise in NOISE]
        for name, label in (("beta-front-door", "equation (2)"), ("lost", "lost"), ("naive", "naive")):
            print(_row(f"{label}, N = {rows:,}", [_short(float(np.mean(f[name]))) for f in found]))
    generator = torch.Generator().manual_seed(given.seed)
    print("\n| ε of our own noise | 0.6 | 0.3 | 0.1 | 0.01 |\n|---|--:|--:|--:|--:|")
    pairs = [[own_noise(noise, generator) for _ in range(given.models)] for noise in (0.6, 0.3, 0.1, 0.01)]
    print(_row("reported, the largest of all models", [f"{max(r for r, _ in pair):.0e}" for pair in pairs]))
    print(_row("true, mean", [_short(float(np.mean([t for _, t in pair]))) for pair in pairs]))


if __name__ == "__main__":
    main()

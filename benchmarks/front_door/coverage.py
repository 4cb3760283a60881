"""How often the 95 % intervals of `estimate_effects` hold the truth, on graph g3.

    python benchmarks/front_door/coverage.py [--models 300] [--resamples 200] [--seed 0]

One sample per random model and size; ε is the share of noise in the mediator, as in positivity.py, or "random" for
tables without structure. Counted over the values of P(y = 1 | do(x)) by equation (2), which is exact on this graph.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import torch
from positivity import near_deterministic

from deconfound.causal import EXAMPLES, DiscreteSCM, PositivityWarning, count_rows, estimate_effects

SIZES = (500, 2_000, 20_000)
NOISE = (None, 0.6, 0.3, 0.1, 0.03)


def covered(noise: float | None, rows: int, models: int, resamples: int, seed: int) -> float:
    """Share of intervals that hold the truth."""
    generator, draws = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    hits = []
    for _ in range(models):
        if noise is None:
            model = DiscreteSCM.random(EXAMPLES["g3"].graph, generator, {"z": 3, "u": 3})
        else:
            model = near_deterministic(generator, noise)
        counts = count_rows(model.sample(rows, generator), model.graph)
        found = estimate_effects(counts, model.graph, draws, resamples=resamples)
        band, truth = found.effects["beta-front-door"].probabilities, model.effect()
        hits.append((band.low <= truth) & (truth <= band.high))
    return float(np.mean([hit[:, 1] for hit in hits]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore", PositivityWarning)
    print(f"| N | random | {' | '.join(f'ε = {noise:g}' for noise in NOISE if noise)} |\n|---|{'--:|' * len(NOISE)}")
    for rows in SIZES:
        shares = [covered(noise, rows, given.models, given.resamples, given.seed) for noise in NOISE]
        print(f"| {rows:,} | {' | '.join(f'{share:.1%}' for share in shares)} |")


if __name__ == "__main__":
    main()

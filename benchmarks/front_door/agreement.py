"""Does the verdict on a graph agree with enumeration? And where it says no, is equation (2) wrong?

    python benchmarks/front_door/agreement.py [--graphs 2000] [--models 3] [--seed 0] [--identify]

Draws graphs with latent causes, random tables for each, and compares every formula with the truth. A formula counts as
exact on a graph when its largest error over all models is below 1e-9. Prints, per criterion, how often it holds and the
formula is exact, and for equation (2) why it is exact where the criterion fails:

    no effect        no directed path leads from X to Y; both sides are P(y)
    fewer auxiliary  the criterion holds for a part of A, and the rest changes nothing
    back-door, front-door, joint   another criterion holds, and its formula is the same number here
    none of these    counted, and the graphs are printed

With --identify, y0's complete algorithm says which effects can be identified at all from the observed nodes.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import networkx as nx
import numpy as np
import torch

from deconfound.causal import DiscreteSCM, Graph, assess, check_beta_front_door, random_graph
from deconfound.causal.effects import TREATMENT_FORMULAS, evaluate

EXACT = 1e-9
REASONS = ("no effect", "fewer auxiliary")


@dataclass(frozen=True)
class Case:
    """A graph, what the criteria say, and what enumeration says.

    Args:
        warranted: formula → whether its criterion holds.
        error: formula → largest error over the models.
    """

    graph: Graph
    warranted: dict[str, bool]
    error: dict[str, float]

    def exact(self, name: str) -> bool:
        """Whether a formula gives the truth in all models."""
        return self.error[name] < EXACT


def cases(graphs: int, models: int, seed: int) -> Iterator[Case]:
    """Random graphs, each with random tables: three values of the mediator, two or three of latent nodes."""
    generator = torch.Generator().manual_seed(seed)
    for number in range(graphs):
        graph = random_graph(generator, f"random {number}")
        error = dict.fromkeys(TREATMENT_FORMULAS, 0.0)
        for model in range(models):
            sizes = {"z": 3, **dict.fromkeys(graph.latent, 2 + model % 2)}
            drawn = DiscreteSCM.random(graph, generator, sizes)
            p, truth = drawn.observed(), drawn.effect()
            error = {name: max(error[name], float(np.abs(evaluate(name, p) - truth).max())) for name in error}
        yield Case(graph, dict(assess(graph).exact), error)


def reason(case: Case) -> str:
    """Why equation (2) is exact although the criterion fails."""
    graph = case.graph
    if not nx.has_path(graph.digraph, graph.treatment, graph.outcome):
        return "no effect"
    parts = [part for count in range(len(graph.auxiliary)) for part in combinations(graph.auxiliary, count)]
    if any(check_beta_front_door(replace(graph, auxiliary=part)).holds for part in parts):
        return "fewer auxiliary"
    others = {"back-door": "back-door", "front-door": "front-door", "joint-mediators": "joint"}
    return next((short for name, short in others.items() if case.warranted[name]), "none of these")


def identifiable(graph: Graph) -> bool:
    """Whether P(y | do(x)) follows from the observed nodes at all, by y0's implementation of the ID algorithm."""
    from y0.algorithm.identify import identify_outcomes
    from y0.dsl import Variable
    from y0.graph import NxMixedGraph

    inner = [edge for edge in graph.edges if edge[0] not in graph.latent]
    shared = [
        pair
        for hidden in graph.latent
        for pair in combinations([effect for cause, effect in graph.edges if cause == hidden], 2)
    ]
    mixed = NxMixedGraph.from_str_edges(nodes=list(graph.observed), directed=inner, undirected=shared)
    return identify_outcomes(mixed, {Variable(graph.treatment)}, {Variable(graph.outcome)}) is not None


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--identify", action="store_true", help="needs y0")
    given = parser.parse_args()
    found = list(cases(given.graphs, given.models, given.seed))
    print("| formula | criterion holds | of these exact | criterion fails | of these exact all the same |")
    print("|---|--:|--:|--:|--:|")
    for name in TREATMENT_FORMULAS:
        holds = [case.exact(name) for case in found if case.warranted[name]]
        fails = [case.exact(name) for case in found if not case.warranted[name]]
        print(f"| {name} | {len(holds)} | {sum(holds)} | {len(fails)} | {sum(fails)} |")
    odd = [case for case in found if case.exact("beta-front-door") and not case.warranted["beta-front-door"]]
    print(f"\nEquation (2), exact without its criterion: {dict(Counter(map(reason, odd)).most_common())}")
    for case in odd:
        if reason(case) == "none of these":
            print(f"  {', '.join(f'{a} -> {b}' for a, b in case.graph.edges)}; A = {case.graph.auxiliary}")
    left = [case for case in found if not case.warranted["beta-front-door"] and reason(case) not in REASONS]
    missed = sum(not case.exact("beta-front-door") for case in left)
    print(f"where neither of the first two reasons applies, wrong on {missed} of {len(left)} graphs")
    wrong = [error for case in found for error in case.error.values() if error >= EXACT]
    right = [error for case in found for error in case.error.values() if error < EXACT]
    print(f"largest error called exact {max(right):.1e}; smallest called wrong {min(wrong):.1e}")
    if given.identify:
        able = [identifiable(case.graph) for case in found]
        some = [any(case.warranted.values()) for case in found]
        both = sum(a and s for a, s in zip(able, some, strict=True))
        print(f"identifiable (y0): {sum(able)} of {len(able)}; some formula here warranted: {sum(some)}, both: {both}")


if __name__ == "__main__":
    main()

"""Another program on the same graphs: y0's ID algorithm, which is sound and complete for what can be identified at all.

y0 is in the extra 'identify', not in 'test'. DoWhy is not asked: with the pinned SciPy pip
falls back to DoWhy 0.12, whose front-door search calls a function that the pinned networkx no longer has.
"""

from itertools import combinations

import pytest
import torch

from deconfound.causal import EXAMPLES, assess, random_graph

pytestmark = pytest.mark.filterwarnings("ignore")  # of y0 and what it imports


def confounded(graph):
    """Pairs of observed nodes with a common latent cause."""
    effects = [[b for a, b in graph.edges if a == hidden] for hidden in graph.latent]
    return [pair for some in effects for pair in combinations(some, 2)]


def test_whatever_is_warranted_can_be_identified():
    pytest.importorskip("y0", reason="the extra 'identify' is not installed")
    from y0.algorithm.identify import identify_outcomes
    from y0.dsl import Variable
    from y0.graph import NxMixedGraph

    generator = torch.Generator().manual_seed(11)
    able = 0
    for graph in [*(e.graph for e in EXAMPLES.values()), *(random_graph(generator) for _ in range(200))]:
        inner = [edge for edge in graph.edges if edge[0] not in graph.latent]
        mixed = NxMixedGraph.from_str_edges(nodes=list(graph.observed), directed=inner, undirected=confounded(graph))
        identified = identify_outcomes(mixed, {Variable("x")}, {Variable("y")}) is not None
        able += identified
        assert identified or not any(assess(graph).exact.values()), graph.edges
    assert 0 < able < 211

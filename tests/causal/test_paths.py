"""d-separation and open paths against the textbook: every path by itself, blocked or not."""

from itertools import combinations, pairwise

import networkx as nx
import pytest
import torch

from deconfound.causal import Graph, open_path, random_graph, separated
from deconfound.causal.paths import MAX_PATHS, Path, directed_path, open_back_doors


def all_paths(digraph, source, target):
    """Every path, arrows in both directions."""
    for nodes in nx.all_simple_paths(digraph.to_undirected(), source, target):
        yield Path(tuple(nodes), tuple(digraph.has_edge(a, b) for a, b in pairwise(nodes)))


def is_open(digraph, path, given):
    """Pearl's definition: each inner node lets through."""
    for before, node, after in zip(path.nodes, path.nodes[1:], path.nodes[2:], strict=False):
        collider = digraph.has_edge(before, node) and digraph.has_edge(after, node)
        family = {node} | nx.descendants(digraph, node)
        if (collider and not family & set(given)) or (not collider and node in given):
            return False
    return True


def graphs(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [random_graph(generator) for _ in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_separation_is_that_no_path_is_open(seed):
    for graph in graphs(25, seed):
        digraph = graph.digraph
        for one, two in combinations(graph.observed, 2):
            others = [node for node in graph.observed if node not in (one, two)]
            for given in [(), *combinations(others, 1), *combinations(others, 2)]:
                paths = [path for path in all_paths(digraph, one, two) if is_open(digraph, path, given)]
                assert separated(digraph, [one], [two], given) == (not paths)
                found = open_path(digraph, [one], [two], given)
                assert (found is None) == (not paths)
                if found is not None:
                    assert found in paths


def test_sets_of_nodes():
    for graph in graphs(60, 7):
        source, target, given = ("z", *graph.auxiliary), ("y",), ("x",)
        cut = graph.cut(out_of=source)
        paths = [p for one in source for p in all_paths(cut, one, "y") if is_open(cut, p, given)]
        assert separated(cut, source, target, given) == (not paths)
        found = open_path(cut, source, target, given)
        assert (found is None) == (not paths)
        assert found is None or (found.nodes[0] in source and is_open(cut, found, given))
    assert separated(graph.digraph, [], ["y"], [])
    assert open_path(graph.digraph, ["x"], ["y"], ["y"]) is None


@pytest.mark.parametrize("given", [(), ("x",), ("x", "a")])
def test_back_doors_are_all_open_paths_that_begin_with_an_arrow_in(given):
    for graph in graphs(60, 3):
        digraph = graph.digraph
        wanted = {p for p in all_paths(digraph, "z", "y") if not p.forward[0] and is_open(digraph, p, given)}
        found = open_back_doors(digraph, "z", "y", given)
        assert set(found) == wanted
        assert [len(p.nodes) for p in found] == sorted(len(p.nodes) for p in wanted)


def test_a_path_tells_its_arrows():
    path = Path(("z", "a", "u", "y"), (False, False, True))
    assert str(path) == "z <- a <- u -> y"
    assert path.edges == (("a", "z"), ("u", "a"), ("u", "y"))
    assert path.colliders == set()
    assert Path(("z", "v", "a", "u", "y"), (False, True, False, True)).colliders == {"a"}


def test_directed_paths_avoid_nodes():
    graph = Graph.of("x -> z -> y", "x -> b -> c -> y")
    assert str(directed_path(graph.digraph, "x", ["y"])) == "x -> z -> y"
    assert str(directed_path(graph.digraph, "x", ["y"], avoid=["z"])) == "x -> b -> c -> y"
    assert directed_path(graph.digraph, "x", ["y"], avoid=["z", "c"]) is None
    assert directed_path(graph.digraph, "y", ["x"]) is None


def test_a_dense_graph_is_answered_soon():
    nodes = ["x", *(f"n{i}" for i in range(50)), "z", "y"]
    graph = Graph.of(*(f"{a} -> {b}" for a, b in combinations(nodes, 2)))
    assert len(open_back_doors(graph.digraph, "z", "y", ())) == MAX_PATHS
    assert open_path(graph.cut(out_of=["z"]), ["z"], ["y"], ["x"]) is not None

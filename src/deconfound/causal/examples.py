"""Graphs on which the formulas differ, each with the formulas that are exact on it, and random graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deconfound.causal.graph import Graph

if TYPE_CHECKING:
    from torch import Generator

_CORE = ("u -> x -> z -> y", "u -> y")


@dataclass(frozen=True)
class Example:
    """A graph and the formulas that are exact on it for all probabilities.

    Args:
        about: the graph in one line.
        exact: names in `effects.FORMULAS`; all others are wrong for generic probabilities.
    """

    graph: Graph
    about: str
    exact: frozenset[str]


def _example(
    name: str, about: str, exact: str, *chains: str, latent: str = "u", core: tuple[str, ...] = _CORE
) -> Example:
    graph = Graph.of(*core, *chains, auxiliary=["a"], latent=latent.split(), name=name)
    return Example(graph, about, frozenset(exact.split()))


_BETA = "beta-front-door beta-front-door-given mediator"
_PLAIN = "front-door randomised-mediator mediator-plain"
_LIST = (
    _example("g1", "plain front-door, U -> A -> Y", f"{_BETA} {_PLAIN}", "u -> a -> y"),
    _example("g1b", "shared W -> X, W -> A", f"{_BETA} {_PLAIN}", "w -> x", "w -> a -> y", latent="u w"),
    _example("g2", "A -> Z, A -> Y, A independent of X", f"{_BETA} joint-mediators", "a -> z", "a -> y"),
    _example("g3", "g2 with U -> A", _BETA, "u -> a -> z", "a -> y"),
    _example(
        "g4", "Z <- V -> A -> Y, A independent of X", f"{_BETA} joint-mediators", "v -> z", "v -> a -> y", latent="u v"
    ),
    _example("g5", "g3 with W -> X, W -> A", _BETA, "u -> a -> z", "a -> y", "w -> x", "w -> a", latent="u w"),
    _example("g6", "X -> A -> Y", "joint-mediators mediator mediator-plain", "x -> a -> y"),
    _example("g7", "M-bias Z <- V -> A <- U, and A -> Y", "", "v -> z", "v -> a", "u -> a -> y", latent="u v"),
    _example(
        "g8",
        "A only a collider, Z <- V -> A <- U",
        "front-door mediator-plain",
        "v -> z",
        "v -> a",
        "u -> a",
        latent="u v",
    ),
    _example("g9", "Z -> A -> Y", "front-door mediator-plain joint-mediators", "z -> a -> y"),
    _example("g10", "g2 with X -> Y", "mediator", "a -> z", "a -> y", "x -> y"),
)
EXAMPLES: Mapping[str, Example] = {example.graph.name: example for example in _LIST}
"""g1 to g10: U confounds X and Y, Z mediates, and A is auxiliary."""


def random_graph(generator: Generator, name: str = "random") -> Graph:
    """A graph over X, Z, Y, one or two auxiliary nodes and up to three latent ones.

    Observed nodes have a random order, with X before Z before Y four times out of five. Each pair in this order
    is an edge with a probability that is drawn per graph; X -> Z and Z -> Y are edges with 9 in 10, X -> Y with 1 in 5.
    Each latent node causes two or three of the observed ones.
    """
    import torch

    def chance(probability: float) -> bool:
        return float(torch.rand((), generator=generator)) < probability

    auxiliary = ["a", "b"][: 1 + chance(0.4)]
    observed = ["x", "z", "y", *auxiliary]
    order = [observed[i] for i in torch.randperm(len(observed), generator=generator).tolist()]
    if not chance(0.2):
        core = iter("xzy")
        order = [next(core) if node in "xzy" else node for node in order]
    density = 0.1 + 0.6 * float(torch.rand((), generator=generator))
    special = {("x", "z"): 0.9, ("z", "y"): 0.9, ("x", "y"): 0.2}
    edges = [
        f"{cause} -> {effect}"
        for i, cause in enumerate(order)
        for effect in order[i + 1 :]
        if chance(special.get((cause, effect), density))
    ]
    latent = ["u", "v", "w"][: int(torch.randint(4, (), generator=generator))]
    for cause in latent:
        count = 2 + chance(0.25)
        effects = torch.randperm(len(observed), generator=generator)[:count].tolist()
        edges += [f"{cause} -> {observed[i]}" for i in effects]
    return Graph.of(*edges, auxiliary=auxiliary, latent=latent, name=name)

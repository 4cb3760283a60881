"""Discrete structural causal models: exact enumeration gives the truth for every formula."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from deconfound.causal.effects import conditional
from deconfound.causal.graph import Graph
from deconfound.errors import SpecError

if TYPE_CHECKING:
    from torch import Generator

MAX_CELLS = 2_000_000


@dataclass(frozen=True)
class DiscreteSCM:
    """A graph with one conditional probability table per node.

    Args:
        graph: the graph, latent nodes included.
        tables: node → probabilities with axes (parents in the order of `graph.nodes`, node); they sum to 1 over the
            last axis.

    Raises:
        SpecError: a missing table, one of another shape or whose rows do not sum to 1, or more than `MAX_CELLS` joint
            values.
    """

    graph: Graph
    tables: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        for node in self.graph.nodes:
            if node not in self.tables:
                raise SpecError(f"the node {node!r} has no table of probabilities; give one for every node")
        sizes = self.sizes
        for node, table in self.tables.items():
            shape = tuple(sizes[name] for name in (*self.parents(node), node))
            if table.shape != shape:
                raise SpecError(
                    f"the table of {node!r} has shape {table.shape}; expected {shape}: parents, then itself"
                )
            if (table < 0).any() or not np.allclose(table.sum(axis=-1), 1):
                raise SpecError(f"the table of {node!r} does not hold probabilities; every row must sum to 1")
        if math.prod(sizes.values()) > MAX_CELLS:
            raise SpecError(
                f"the model has {math.prod(sizes.values())} joint values; at most {MAX_CELLS} are enumerated"
            )

    @classmethod
    def random(cls, graph: Graph, generator: Generator, sizes: Mapping[str, int] | None = None) -> DiscreteSCM:
        """Draw random tables, each row from a flat Dirichlet mixed with a tenth of the uniform distribution.

        Args:
            sizes: node → number of values, at least 2; 2 for nodes that are not listed.
        """
        import torch

        node_sizes = {node: (sizes or {}).get(node, 2) for node in graph.nodes}
        tables = {}
        for node in graph.nodes:
            shape = [node_sizes[name] for name in (*_parents(graph, node), node)]
            drawn = torch.empty(shape, dtype=torch.float64).exponential_(generator=generator)
            tables[node] = (0.9 * drawn / drawn.sum(dim=-1, keepdim=True) + 0.1 / shape[-1]).numpy()
        return cls(graph, tables)

    @property
    def sizes(self) -> dict[str, int]:
        """Node → number of values."""
        return {node: self.tables[node].shape[-1] for node in self.graph.nodes}

    def parents(self, node: str) -> tuple[str, ...]:
        """Causes of a node, in the order of the axes of its table."""
        return _parents(self.graph, node)

    def with_table(self, node: str, table: np.ndarray) -> DiscreteSCM:
        """A copy with another table for one node."""
        return replace(self, tables={**self.tables, node: table})

    def joint(self, do: str | None = None) -> np.ndarray:
        """Probability of every combination of values, one axis per node in the order of `graph.nodes`.

        Args:
            do: a node that an intervention sets. Its axis then runs over the distributions under each of its values,
                so the whole sums to its number of values.
        """
        nodes = self.graph.nodes
        product = np.ones([1] * len(nodes))
        for node in nodes:
            if node != do:
                names = (*self.parents(node), node)
                order = sorted(range(len(names)), key=lambda i: nodes.index(names[i]))
                shape = [self.sizes[name] if name in names else 1 for name in nodes]
                product = product * self.tables[node].transpose(order).reshape(shape)
        return np.broadcast_to(product, [self.sizes[node] for node in nodes])

    def observed(self, do: str | None = None) -> np.ndarray:
        """(X, Z, Y, A) joint probabilities of the roles; A runs over combinations of auxiliary values."""
        graph = self.graph
        roles = (graph.treatment, graph.mediator, graph.outcome, *graph.auxiliary)
        axes = [graph.nodes.index(role) for role in roles]
        marginal = np.einsum(self.joint(do), list(range(len(graph.nodes))), axes)
        return marginal.reshape(*marginal.shape[:3], -1)

    def effect(self) -> np.ndarray:
        """(X, Y) true P(y | do(x))."""
        return self.observed(self.graph.treatment).sum(axis=(1, 3))

    def effect_given(self) -> np.ndarray:
        """(X, A, Y) true P(y | do(x), a), with the value of a after x was set."""
        joint = self.observed(self.graph.treatment).sum(axis=1).transpose(0, 2, 1)
        return joint / joint.sum(axis=2, keepdims=True)

    def mediator_effect(self) -> np.ndarray:
        """(Z, Y) true P(y | do(z))."""
        return self.observed(self.graph.mediator).sum(axis=(0, 3))

    def randomised_effect(self) -> np.ndarray:
        """(X, Y) true Σ_z P(z | x) P(y | do(z)): Z is set to a draw from P(z | x), independently of the row's A."""
        return conditional(self.observed(), "z|x").T @ self.mediator_effect()

    def sample(self, rows: int, generator: Generator) -> np.ndarray:
        """(rows, 3 + auxiliary) integers: treatment, mediator, outcome, then the auxiliary nodes."""
        import torch

        graph = self.graph
        roles = (graph.treatment, graph.mediator, graph.outcome, *graph.auxiliary)
        shape = [self.sizes[role] for role in roles]
        weights = torch.from_numpy(self.observed().ravel())
        drawn = torch.multinomial(weights, rows, replacement=True, generator=generator).numpy()
        return np.stack(np.unravel_index(drawn, shape), axis=1)


def _parents(graph: Graph, node: str) -> tuple[str, ...]:
    causes = {cause for cause, effect in graph.edges if effect == node}
    return tuple(name for name in graph.nodes if name in causes)

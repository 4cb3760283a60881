"""Causal graphs with latent nodes and the four roles of a front-door adjustment.

A file looks like this:

```toml
name = "g3"                       # optional
observed = ["x", "z", "y", "a"]
latent = ["u"]                    # optional: unmeasured causes
edges = ["u -> x -> z -> y", "u -> y", "u -> a -> z", "a -> y"]

[roles]
treatment = "x"
mediator = "z"
outcome = "y"
auxiliary = ["a"]                 # optional; without it: the plain front-door
```
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from deconfound.errors import SpecError, did_you_mean
from deconfound.io.reading import read_toml
from deconfound.registry import explain

if TYPE_CHECKING:
    import networkx as nx

_T = TypeVar("_T")
MAX_NODES = 60
MAX_NAME = 40


@dataclass(frozen=True)
class Graph:
    """A directed acyclic graph, checked when it is created.

    Args:
        observed: names of the measured nodes, including all roles.
        edges: (cause, effect) pairs.
        treatment: X, the cause whose effect is wanted.
        mediator: Z, through which X is assumed to act.
        outcome: Y.
        auxiliary: A, zero or more nodes to adjust for.
        latent: names of the nodes that are not measured.
        name: title in messages and drawings.

    Raises:
        SpecError: an unknown node, a duplicate name, a self-loop, a duplicate edge, a cycle, or roles that overlap or are
            latent.
    """

    observed: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    treatment: str
    mediator: str
    outcome: str
    auxiliary: tuple[str, ...] = ()
    latent: tuple[str, ...] = ()
    name: str = "graph"

    def __post_init__(self) -> None:
        _check_single(self.treatment, self.mediator, self.outcome)
        _check_names(self.nodes)
        for edge in self.edges:
            for node in edge:
                if node not in self.nodes:
                    raise SpecError(
                        f"the edge {_arrow(edge)} names the node {_short(node)!r}, which is neither observed nor latent"
                        f"{did_you_mean(node, self.nodes)}"
                    )
            if edge[0] == edge[1]:
                raise SpecError(f"the edge {_arrow(edge)} is a loop; a node cannot cause itself")
        duplicate = _duplicate(self.edges)
        if duplicate:
            raise SpecError(f"the edge {_arrow(duplicate)} is given twice; keep one")
        self._check_roles()
        self._check_cycle()

    def _check_roles(self) -> None:
        single = {"treatment": self.treatment, "mediator": self.mediator, "outcome": self.outcome}
        roles = [*single.items(), *(("auxiliary", node) for node in self.auxiliary)]
        for role, node in roles:
            if node in self.latent:
                raise SpecError(f"the {role} {_short(node)!r} is latent; a role needs an observed node")
            if node not in self.observed:
                hint = did_you_mean(node, self.observed)
                raise SpecError(f"the {role} {_short(node)!r} is not an observed node{hint}")
        duplicate = _duplicate([node for _, node in roles])
        if duplicate:
            its_roles = " and ".join(role for role, node in roles if node == duplicate)
            raise SpecError(f"the node {duplicate!r} is {its_roles}; each role needs a node of its own")

    def _check_cycle(self) -> None:
        import networkx as nx

        try:
            cycle = nx.find_cycle(self.digraph)
        except nx.NetworkXNoCycle:
            return
        nodes = [edge[0] for edge in cycle] + [cycle[0][0]]
        raise SpecError(f"the edges form a cycle, {' -> '.join(nodes)}; remove one edge: a causal graph has no cycle")

    @property
    def nodes(self) -> tuple[str, ...]:
        """Observed nodes, then latent nodes."""
        return (*self.observed, *self.latent)

    @cached_property
    def digraph(self) -> nx.DiGraph:
        """The graph as a networkx object, which must not be changed."""
        return self.cut()

    def cut(self, *, into: Collection[str] = (), out_of: Collection[str] = ()) -> nx.DiGraph:
        """A copy without the edges into some nodes and out of others: Pearl's G with bars over and under."""
        import networkx as nx

        digraph = nx.DiGraph()
        digraph.add_nodes_from(self.nodes)
        digraph.add_edges_from((a, b) for a, b in self.edges if b not in into and a not in out_of)
        return digraph

    def descendants(self, node: str) -> frozenset[str]:
        """Nodes that a directed path reaches, without the node itself."""
        import networkx as nx

        return frozenset(nx.descendants(self.digraph, node))

    @classmethod
    def of(
        cls,
        *chains: str,
        treatment: str = "x",
        mediator: str = "z",
        outcome: str = "y",
        auxiliary: Sequence[str] = (),
        latent: Sequence[str] = (),
        name: str = "graph",
    ) -> Graph:
        """Build a graph from chains such as "u -> x -> z"; every node that is not latent is observed.

        Raises:
            SpecError: a chain without an arrow, or an invalid graph.
        """
        _check_single(treatment, mediator, outcome)
        edges = parse_chains(chains)
        roles = (treatment, mediator, outcome, *auxiliary)
        observed = dict.fromkeys([*roles, *(node for edge in edges for node in edge)])
        measured = tuple(node for node in observed if node not in latent)
        return cls(measured, edges, treatment, mediator, outcome, tuple(auxiliary), tuple(latent), name)

    @classmethod
    def read(cls, path: str | Path) -> Graph:
        """Read a file in the format that the module shows.

        Raises:
            SpecError: no such file, not TOML, a missing or unknown key, or an invalid graph.
        """
        path = Path(path)
        values = read_toml(path, "graph")
        try:
            content = _GraphFile(**values)
            roles = content.roles
            return cls(
                tuple(content.observed),
                parse_chains(content.edges),
                roles.treatment,
                roles.mediator,
                roles.outcome,
                tuple(roles.auxiliary),
                tuple(content.latent),
                content.name or path.stem,
            )
        except (ValidationError, TypeError) as error:
            message = explain(error, _GraphFile) if isinstance(error, ValidationError) else str(error)
            raise SpecError(f"{path}: {message[:300]}; a graph has observed, latent, edges and [roles]") from error
        except SpecError as error:
            raise SpecError(f"{path}: {error}") from error


class _StrictModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Roles(_StrictModel):
    treatment: str
    mediator: str
    outcome: str
    auxiliary: list[str] = []

    @field_validator("treatment", "mediator", "outcome", mode="before")
    @classmethod
    def _one_node(cls, node: object, info: ValidationInfo) -> object:
        if isinstance(node, list):
            raise PydanticCustomError("several_nodes", "{what}", {"what": _one_node(info.field_name or "role")})
        return node


class _GraphFile(_StrictModel):
    observed: list[str]
    edges: list[str]
    roles: _Roles
    latent: list[str] = []
    name: str = ""


def parse_chains(chains: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(cause, effect) pairs from chains such as "u -> x -> z".

    Raises:
        SpecError: a chain without an arrow, with an arrow to the left, or with an empty name.
    """
    edges = []
    for chain in chains:
        nodes = [node.strip() for node in chain.split("->")]
        if len(nodes) < 2 or not all(nodes) or "<-" in chain:
            raise SpecError(f"{_short(chain)!r} is not an edge; write 'cause -> effect', or a chain 'a -> b -> c'")
        edges += pairwise(nodes)
    return tuple(edges)


def _check_single(treatment: object, mediator: object, outcome: object) -> None:
    for role, node in {"treatment": treatment, "mediator": mediator, "outcome": outcome}.items():
        if not isinstance(node, str):
            raise SpecError(f"the {role} is {node!r:.80}; {_one_node(role)}")


def _one_node(role: str) -> str:
    """What a role of several nodes may do instead."""
    others = "auxiliary = [...] takes the other mediators" if role == "mediator" else "check one graph for each"
    return f"expected the name of one node: {others}"


def _check_names(nodes: Sequence[str]) -> None:
    if len(nodes) > MAX_NODES:
        raise SpecError(f"the graph has {len(nodes)} nodes; at most {MAX_NODES} are allowed: leave some out")
    for node in nodes:
        if not node.strip() or len(node) > MAX_NAME or not node.isprintable() or "->" in node:
            raise SpecError(f"{_short(node)!r} is not a node name; write 1 to {MAX_NAME} printable characters, no '->'")
    duplicate = _duplicate(nodes)
    if duplicate:
        raise SpecError(f"the node {duplicate!r} is given twice; keep one, observed or latent")


def _duplicate(values: Iterable[_T]) -> _T | None:
    return next((value for value, count in Counter(values).items() if count > 1), None)


def _arrow(edge: tuple[str, str]) -> str:
    return f"'{_short(edge[0])} -> {_short(edge[1])}'"


def _short(text: str) -> str:
    return text if len(text) <= MAX_NAME else f"{text[:MAX_NAME]}…"

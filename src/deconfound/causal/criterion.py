"""Does a graph allow an adjustment? Each condition by itself, and the path that breaks it.

The β-generalised front-door criterion for X, Z, Y given a set A (B1 to B4 below) makes

    P(y | do(x), a) = Σ_z P(z | x, a) Σ_x' P(y | z, x', a) P(x' | a)                                   (1)
    P(y | do(x))    = Σ_a P(a) Σ_z P(z | x, a) Σ_x' P(y | z, x', a) P(x' | a)                          (2)

exact wherever the data satisfy `POSITIVITY`. Without A it is Pearl's front-door criterion. The criterion
is sufficient, not necessary. The answer is about the graph; data of this kind cannot tell whether the graph is right.

Source: Pearl, Biometrika 82, 1995, for the front-door and the rules of do-calculus. B1 to B4 are our completion of the
β-generalised adjustment of Li et al., arXiv 2406.11490; docs/causal.md has the proof.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from deconfound.causal.graph import Graph
from deconfound.causal.paths import Path, directed_path, open_back_doors, open_path, separated

POSITIVITY = (
    "every value of the mediator that occurs must occur with every value of the treatment, within each value of the "
    "auxiliary; a mediator computed from its inputs does not, and its effect is then not identified"
)


@dataclass(frozen=True)
class Condition:
    """One condition of a criterion.

    Args:
        name: such as "B3".
        says: what it requires, with the nodes' names.
        path: the path that breaks it; None if it holds.
    """

    name: str
    says: str
    path: Path | None

    @property
    def holds(self) -> bool:
        """Whether no path breaks it."""
        return self.path is None


@dataclass(frozen=True)
class Identifiability:
    """Whether a criterion holds in a graph, and why not.

    Args:
        criterion: the name, such as "front-door".
        conditions: all conditions of the criterion.
        alpha_paths: open back-door paths from Z to Y with X inside as a non-collider: X blocks them.
        beta_paths: back-door paths from Z to Y that are open given X, with a node of A as a non-collider: A blocks
            them. Each lists the shortest paths, at most `paths.MAX_PATHS`.
        positivity: what the data must satisfy, whatever the graph.
    """

    criterion: str
    conditions: tuple[Condition, ...]
    alpha_paths: tuple[Path, ...] = ()
    beta_paths: tuple[Path, ...] = ()
    positivity: str = POSITIVITY

    @property
    def holds(self) -> bool:
        """Whether all conditions hold."""
        return all(condition.holds for condition in self.conditions)


def check_front_door(graph: Graph, mediators: Collection[str] | None = None) -> Identifiability:
    """Pearl's front-door criterion, with one mediator or several; the auxiliary nodes play no part.

    Args:
        mediators: Z; the graph's own mediator by default.
    """
    z_nodes = tuple(mediators) if mediators is not None else (graph.mediator,)
    x, y, z = graph.treatment, graph.outcome, _names(z_nodes)
    conditions = (
        Condition("F1", f"{z} intercepts every directed path from {x} to {y}", _around(graph, z_nodes)),
        Condition("F2", f"no back-door path from {x} to {z} is open", _back_door(graph, (x,), z_nodes, ())),
        Condition("F3", f"{x} blocks every back-door path from {z} to {y}", _back_door(graph, z_nodes, (y,), (x,))),
    )
    return _with_paths(
        Identifiability("front-door", conditions), replace(graph, auxiliary=()) if len(z_nodes) == 1 else None
    )


def check_beta_front_door(graph: Graph) -> Identifiability:
    """The β-generalised front-door criterion given the auxiliary nodes. Without any it is the front-door criterion."""
    x, z, y, auxiliary = graph.treatment, graph.mediator, graph.outcome, graph.auxiliary
    a = _names(auxiliary)
    breaking_b2 = directed_path(graph.digraph, x, auxiliary) or directed_path(graph.digraph, z, (*auxiliary, x))
    before = f"no node of {a} is caused by {x} or {z}, and " if auxiliary else ""
    blocks = f"{a} blocks every" if auxiliary else "no"
    ending = "" if auxiliary else " is open"
    conditions = (
        Condition("B1", f"{z} intercepts every directed path from {x} to {y}", _around(graph, (z,))),
        Condition("B2", f"{before}{x} is not caused by {z}", breaking_b2),
        Condition("B3", f"{blocks} back-door path from {x} to {z}{ending}", _back_door(graph, (x,), (z,), auxiliary)),
        Condition(
            "B4",
            f"{_names((x, *auxiliary))} block{'' if auxiliary else 's'} every back-door path from {z} to {y}",
            _back_door(graph, (z,), (y,), (x, *auxiliary)),
        ),
    )
    return _with_paths(Identifiability("β-front-door", conditions), graph)


def check_back_door(graph: Graph) -> Identifiability:
    """Pearl's back-door criterion for the effect of X on Y with the auxiliary nodes; without any, P(y | x) itself."""
    x, y, auxiliary = graph.treatment, graph.outcome, graph.auxiliary
    a = _names(auxiliary)
    conditions = (
        Condition("D1", f"no node of {a} is caused by {x}", directed_path(graph.digraph, x, auxiliary)),
        Condition("D2", f"{a} blocks every back-door path from {x} to {y}", _back_door(graph, (x,), (y,), auxiliary)),
    )
    return Identifiability("back-door", conditions)


def check_mediator(graph: Graph) -> Identifiability:
    """The back-door criterion for the effect of Z on Y with X and the auxiliary nodes: what equation (3) needs."""
    x, z, y, auxiliary = graph.treatment, graph.mediator, graph.outcome, graph.auxiliary
    both = _names((x, *auxiliary))
    conditions = (
        Condition("M1", f"no node of {both} is caused by {z}", directed_path(graph.digraph, z, (x, *auxiliary))),
        Condition(
            "M2", f"{both} block every back-door path from {z} to {y}", _back_door(graph, (z,), (y,), (x, *auxiliary))
        ),
    )
    return Identifiability("mediator back-door", conditions)


def _around(graph: Graph, mediators: Collection[str]) -> Path | None:
    """A directed path from X to Y that avoids the mediators."""
    return directed_path(graph.digraph, graph.treatment, (graph.outcome,), avoid=mediators)


def _back_door(
    graph: Graph, source: Collection[str], target: Collection[str], conditioning: Collection[str]
) -> Path | None:
    """An open back-door path between two sets given a third, or None."""
    cut = graph.cut(out_of=source)
    if separated(cut, source, target, conditioning):
        return None
    path = open_path(cut, source, target, conditioning)
    assert path is not None, "two routes to d-separation disagree"
    return path


def _with_paths(criterion: Identifiability, graph: Graph | None) -> Identifiability:
    if graph is None:
        return criterion
    x, z, y = graph.treatment, graph.mediator, graph.outcome
    auxiliary = set(graph.auxiliary)
    alpha = [p for p in open_back_doors(graph.digraph, z, y, ()) if x in p.nodes]
    beta = [p for p in open_back_doors(graph.digraph, z, y, (x,)) if (auxiliary & set(p.nodes)) - p.colliders]
    return replace(criterion, alpha_paths=tuple(alpha), beta_paths=tuple(beta))


def _names(nodes: Collection[str]) -> str:
    """`"z"`, `"{x, a}"`, or `"the empty set"`."""
    if not nodes:
        return "the empty set"
    return next(iter(nodes)) if len(nodes) == 1 else f"{{{', '.join(nodes)}}}"

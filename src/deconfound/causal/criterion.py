"""Does a graph allow an adjustment? Each condition by itself, and the path that breaks it.

The β-generalised front-door criterion for X, Z, Y given a set A (B1 to B4 below) makes

    P(y | do(x), a) = Σ_z P(z | x, a) Σ_x' P(y | z, x', a) P(x' | a)                                   (1)
    P(y | do(x))    = Σ_a P(a) Σ_z P(z | x, a) Σ_x' P(y | z, x', a) P(x' | a)                          (2)

exact wherever P(z, x', a) > 0 is met as `POSITIVITY` says. Without A it is Pearl's front-door criterion. The criterion
is sufficient, not necessary. A verdict is about the graph; whether the graph is right, no data here can tell.

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
        says: what it asks for, with the nodes' names.
        path: the path that breaks it; None where it holds.
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
        criterion: its name.
        conditions: all of them.
        alpha_paths: open back-door paths from Z to Y with X inside as a non-collider: X blocks them.
        beta_paths: back-door paths from Z to Y that are open given X, with a node of A as a non-collider: A blocks
            them. Of both, the shortest, at most `paths.MOST_PATHS`.
        positivity: what the data must meet beside the graph.
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
    """Pearl's front-door criterion, with one mediator or several; the auxiliary nodes are left alone.

    Args:
        mediators: Z; the graph's mediator if left out.
    """
    between = tuple(mediators) if mediators is not None else (graph.mediator,)
    x, y, z = graph.treatment, graph.outcome, _names(between)
    conditions = (
        Condition("F1", f"{z} intercepts every directed path from {x} to {y}", _around(graph, between)),
        Condition("F2", f"no back-door path from {x} to {z} is open", _back_door(graph, (x,), between, ())),
        Condition("F3", f"{x} blocks every back-door path from {z} to {y}", _back_door(graph, between, (y,), (x,))),
    )
    return _with_paths(
        Identifiability("front-door", conditions), replace(graph, auxiliary=()) if len(between) == 1 else None
    )


def check_beta_front_door(graph: Graph) -> Identifiability:
    """The β-generalised front-door criterion given the auxiliary nodes. Without any it is the front-door criterion."""
    x, z, y, given = graph.treatment, graph.mediator, graph.outcome, graph.auxiliary
    a = _names(given)
    late = directed_path(graph.digraph, x, given) or directed_path(graph.digraph, z, (*given, x))
    before = f"no node of {a} is caused by {x} or {z}, and " if given else ""
    blocks = f"{a} blocks every" if given else "no"
    ending = "" if given else " is open"
    conditions = (
        Condition("B1", f"{z} intercepts every directed path from {x} to {y}", _around(graph, (z,))),
        Condition("B2", f"{before}{x} is not caused by {z}", late),
        Condition("B3", f"{blocks} back-door path from {x} to {z}{ending}", _back_door(graph, (x,), (z,), given)),
        Condition(
            "B4",
            f"{_names((x, *given))} block{'' if given else 's'} every back-door path from {z} to {y}",
            _back_door(graph, (z,), (y,), (x, *given)),
        ),
    )
    return _with_paths(Identifiability("β-front-door", conditions), graph)


def check_back_door(graph: Graph) -> Identifiability:
    """Pearl's back-door criterion for the effect of X on Y with the auxiliary nodes; without any, P(y | x) itself."""
    x, y, given = graph.treatment, graph.outcome, graph.auxiliary
    a = _names(given)
    conditions = (
        Condition("D1", f"no node of {a} is caused by {x}", directed_path(graph.digraph, x, given)),
        Condition("D2", f"{a} blocks every back-door path from {x} to {y}", _back_door(graph, (x,), (y,), given)),
    )
    return Identifiability("back-door", conditions)


def check_mediator(graph: Graph) -> Identifiability:
    """The back-door criterion for the effect of Z on Y with X and the auxiliary nodes: what equation (3) needs."""
    x, z, y, given = graph.treatment, graph.mediator, graph.outcome, graph.auxiliary
    both = _names((x, *given))
    conditions = (
        Condition("M1", f"no node of {both} is caused by {z}", directed_path(graph.digraph, z, (x, *given))),
        Condition(
            "M2", f"{both} block every back-door path from {z} to {y}", _back_door(graph, (z,), (y,), (x, *given))
        ),
    )
    return Identifiability("mediator back-door", conditions)


def _around(graph: Graph, between: Collection[str]) -> Path | None:
    """A directed path from X to Y that avoids the mediators."""
    return directed_path(graph.digraph, graph.treatment, (graph.outcome,), avoid=between)


def _back_door(graph: Graph, source: Collection[str], target: Collection[str], given: Collection[str]) -> Path | None:
    cut = graph.cut(out_of=source)
    if separated(cut, source, target, given):
        return None
    found = open_path(cut, source, target, given)
    assert found is not None, "two routes to d-separation disagree"
    return found


def _with_paths(verdict: Identifiability, graph: Graph | None) -> Identifiability:
    if graph is None:
        return verdict
    x, z, y = graph.treatment, graph.mediator, graph.outcome
    aside = set(graph.auxiliary)
    alpha = [p for p in open_back_doors(graph.digraph, z, y, ()) if x in p.nodes]
    beta = [p for p in open_back_doors(graph.digraph, z, y, (x,)) if (aside & set(p.nodes)) - p.colliders]
    return replace(verdict, alpha_paths=tuple(alpha), beta_paths=tuple(beta))


def _names(nodes: Collection[str]) -> str:
    """`"z"`, `"{x, a}"`, or `"the empty set"`."""
    if not nodes:
        return "the empty set"
    return next(iter(nodes)) if len(nodes) == 1 else f"{{{', '.join(nodes)}}}"

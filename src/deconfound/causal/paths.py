"""Which paths in a graph carry association, and which nodes block them.

A path is open given a set S when no non-collider on it is in S and every collider on it is in S or has a descendant
in S.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

MAX_PATHS = 50
"""Number of paths that are listed, the shortest first."""
_MAX_STEPS = 50_000
_State = tuple[str, bool | None]
"""A node, and whether it was reached along an arrow (True), against one (False), or began the walk."""


@dataclass(frozen=True)
class Path:
    """A path without repeated nodes.

    Args:
        nodes: L names.
        forward: L − 1 flags; True for an arrow that points to the later node.
    """

    nodes: tuple[str, ...]
    forward: tuple[bool, ...]

    def __str__(self) -> str:
        steps = (
            f" {'->' if forward else '<-'} {node}" for forward, node in zip(self.forward, self.nodes[1:], strict=True)
        )
        return self.nodes[0] + "".join(steps)

    @property
    def colliders(self) -> frozenset[str]:
        """Inner nodes that both arrows point to."""
        return frozenset(
            n for n, a, b in zip(self.nodes[1:], self.forward, self.forward[1:], strict=False) if a and not b
        )

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """(cause, effect) along the path."""
        steps = zip(self.nodes, self.nodes[1:], self.forward, strict=False)
        return tuple((a, b) if forward else (b, a) for a, b, forward in steps)


def separated(
    digraph: nx.DiGraph, source: Collection[str], target: Collection[str], conditioning: Collection[str]
) -> bool:
    """Whether a set d-separates two others; True if one of them has no nodes beyond that set."""
    import networkx as nx

    left, right, condition = set(source) - set(conditioning), set(target) - set(conditioning), set(conditioning)
    if not left or not right:
        return True
    return nx.is_d_separator(digraph, left, right, condition)


def open_path(
    digraph: nx.DiGraph, source: Collection[str], target: Collection[str], conditioning: Collection[str]
) -> Path | None:
    """A shortest walk that carries association from one set to the other, its loops cut out; None if there is none.

    Walks are followed as (node, came along an arrow); a collider lets through if it is an ancestor of `conditioning`. Cutting
    a loop out keeps a walk open: a node that becomes a collider by the cut has an arrow out of it into the loop, which
    ends at a collider that is its descendant, so it is an ancestor of `conditioning` too.

    Source: Shachter, Bayes-ball, UAI 1998; Geiger, Verma and Pearl, Networks 20, 1990.
    """
    import networkx as nx

    condition, goal = set(conditioning), set(target) - set(conditioning)
    opening = condition.union(*(nx.ancestors(digraph, node) for node in condition))
    queue: deque[_State] = deque((node, None) for node in sorted(set(source) - condition))
    before: dict[_State, _State | None] = dict.fromkeys(queue)
    while queue:
        state = queue.popleft()
        node, arrived = state
        if node in goal and arrived is not None:
            return _without_loops(state, before)
        for step, forward in _neighbours(digraph, node):
            collider = arrived is True and not forward
            passes = arrived is None or (node in opening if collider else node not in condition)
            if passes and (step, forward) not in before:
                before[(step, forward)] = state
                queue.append((step, forward))
    return None


def open_back_doors(digraph: nx.DiGraph, source: str, target: str, conditioning: Collection[str]) -> tuple[Path, ...]:
    """Paths that begin with an arrow into `source` and are open given a set: the shortest, at most `MAX_PATHS`."""
    import networkx as nx

    condition = set(conditioning)
    opening = condition.union(*(nx.ancestors(digraph, node) for node in condition))
    paths: list[Path] = []
    queue = deque([Path((source, parent), (False,)) for parent in sorted(digraph.predecessors(source))])
    for _ in range(_MAX_STEPS):
        if not queue or len(paths) == MAX_PATHS:
            break
        path = queue.popleft()
        node, arrived = path.nodes[-1], path.forward[-1]
        if node == target:
            paths.append(path)
            continue
        for step, forward in _neighbours(digraph, node):
            passes = node in opening if arrived and not forward else node not in condition
            if passes and step not in path.nodes:
                queue.append(Path((*path.nodes, step), (*path.forward, forward)))
    return tuple(paths)


def directed_path(
    digraph: nx.DiGraph, source: str, targets: Collection[str], avoid: Collection[str] = ()
) -> Path | None:
    """A shortest path along the arrows that avoids some nodes, or None."""
    import networkx as nx

    allowed = digraph.subgraph(set(digraph) - set(avoid))
    if source not in allowed:
        return None
    shortest = nx.single_source_shortest_path(allowed, source)
    reached = sorted((len(shortest[node]), node) for node in targets if node in shortest and node != source)
    if not reached:
        return None
    nodes = tuple(shortest[reached[0][1]])
    return Path(nodes, (True,) * (len(nodes) - 1))


def _neighbours(digraph: nx.DiGraph, node: str) -> Iterator[tuple[str, bool]]:
    """Every neighbour, and whether the arrow points to it."""
    yield from ((step, False) for step in sorted(digraph.predecessors(node)))
    yield from ((step, True) for step in sorted(digraph.successors(node)))


def _without_loops(state: _State, before: dict[_State, _State | None]) -> Path:
    walk = [state]
    while (previous := before[walk[-1]]) is not None:
        walk.append(previous)
    walk.reverse()
    nodes: list[str] = []
    forward: list[bool] = []
    for node, arrived in walk:
        if node in nodes:
            first = nodes.index(node)
            del nodes[first + 1 :], forward[first:]
            continue
        if nodes:
            forward.append(bool(arrived))
        nodes.append(node)
    return Path(tuple(nodes), tuple(forward))

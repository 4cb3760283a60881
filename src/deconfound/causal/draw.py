"""A graph as SVG: causes left, effects right, latent nodes dashed, α- and β-paths underlaid in colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from deconfound.causal.criterion import Identifiability
from deconfound.causal.graph import Graph
from deconfound.causal.paths import Path
from deconfound.io.plain_text import one_line

_STEP, _RISE, _RADIUS, _MARGIN, _LETTER = 150, 95, 22, 60, 8.2
_ALPHA, _BETA, _BREAK = ("#e8a33d", 16), ("#4c8bd6", 8), ("#d6453d", 5)
"""Colour and width under α-paths, β-paths and the paths that break a condition."""
Point = tuple[float, float]


def draw(graph: Graph, criterion: Identifiability) -> str:
    """SVG text of a graph with the paths that a criterion found.

    Args:
        criterion: from `check_beta_front_door` or `check_front_door`.
    """
    positions = layout(graph)
    width = max(x + _half_width(node) for node, (x, _) in positions.items()) + 20
    height = max(y for _, y in positions.values()) + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{max(width, 470):.0f}" height="{height + 50:.0f}" '
        'font-family="sans-serif" font-size="14">',
        f"<title>{escape(one_line(graph.name))}</title>",
        '<rect width="100%" height="100%" fill="white"/>',
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 1L10 5L0 9z" fill="#333"/></marker></defs>',
    ]
    for paths, style, _ in _marked(criterion):
        lines += _underlay(graph, paths, positions, style)
    for edge in graph.edges:
        dashed = ' stroke-dasharray="5 4"' if edge[0] in graph.latent else ""
        curve = _curve(graph, edge, positions)
        lines.append(f'<path d="{curve}" fill="none" stroke="#333" stroke-width="1.6"{dashed} marker-end="url(#tip)"/>')
    lines += [_node(graph, node, position) for node, position in positions.items()]
    return "\n".join([*lines, *_legend(graph, criterion, height), "</svg>"]) + "\n"


def layout(graph: Graph) -> dict[str, Point]:
    """Centre of each node: columns by the longest path from a root, rows by role, latent nodes at the bottom.

    A root is one column before its first effect. Rows from the top: other observed nodes, auxiliary nodes, the treatment
    with mediator and outcome, latent nodes. No two nodes share a position.
    """
    import networkx as nx

    column: dict[str, int] = {}
    for node in nx.topological_sort(graph.digraph):
        column[node] = 1 + max((column[cause] for cause in graph.digraph.predecessors(node)), default=-1)
    for node in graph.nodes:
        effects = list(graph.digraph.successors(node))
        if effects and not graph.digraph.in_degree(node):
            column[node] = max(0, min(column[effect] for effect in effects) - 1)
    core = (graph.treatment, graph.mediator, graph.outcome)
    taken: set[tuple[int, int]] = set()
    cells: dict[str, tuple[int, int]] = {}
    for nodes, row, step in (
        (core, 0, 1),
        (graph.auxiliary, -1, -1),
        ([n for n in graph.observed if n not in (*core, *graph.auxiliary)], -2, -1),
        (graph.latent, 1, 1),
    ):
        for node in nodes:
            level = row
            while (column[node], level) in taken:
                level += step
            taken.add((column[node], level))
            cells[node] = (column[node], level)
    top_level = min(level for _, level in cells.values())
    # odd rows are shifted to the side, so that edges between rows rarely cross a node
    return {
        node: (_MARGIN + 30 + _STEP * (col + 0.35 * (level % 2)), _MARGIN + _RISE * (level - top_level))
        for node, (col, level) in cells.items()
    }


def _marked(criterion: Identifiability) -> list[tuple[tuple[Path, ...], tuple[str, int], str]]:
    """Paths, how they are marked, and what the legend says."""
    broken = tuple(c.path for c in criterion.conditions if c.path is not None)
    breaks = f"breaks {', '.join(c.name for c in criterion.conditions if not c.holds)}"
    kinds = [
        (criterion.alpha_paths, _ALPHA, "α-path"),
        (criterion.beta_paths, _BETA, "β-path"),
        (broken, _BREAK, breaks),
    ]
    return [kind for kind in kinds if kind[0]]


def _underlay(graph: Graph, paths: Sequence[Path], positions: dict[str, Point], style: tuple[str, int]) -> list[str]:
    edges = dict.fromkeys(edge for path in paths for edge in path.edges)
    return [
        f'<path d="{_curve(graph, edge, positions)}" fill="none" stroke="{style[0]}" stroke-width="{style[1]}" '
        'stroke-linecap="round" opacity="0.55"/>'
        for edge in edges
    ]


def _curve(graph: Graph, edge: tuple[str, str], positions: dict[str, Point]) -> str:
    """A straight line between the rims of two nodes; a curve if the line would cross a third node."""
    (x1, y1), (x2, y2) = positions[edge[0]], positions[edge[1]]
    length = math.hypot(x2 - x1, y2 - y1)
    others = [(*positions[node], _half_width(node)) for node in graph.nodes if node not in edge]
    bow = next(
        (b for b in (0.0, 70.0, -70.0, 120.0, -120.0, 170.0, -170.0) if _clear((x1, y1), (x2, y2), b, others)), 70.0
    )
    normal = ((y2 - y1) / length, -(x2 - x1) / length)
    middle = ((x1 + x2) / 2 + bow * normal[0], (y1 + y2) / 2 + bow * normal[1])
    start, end = _rim((x1, y1), middle, edge[0], 0), _rim((x2, y2), middle, edge[1], 2)
    return f"M{start[0]:.1f} {start[1]:.1f}Q{middle[0]:.1f} {middle[1]:.1f} {end[0]:.1f} {end[1]:.1f}"


def _clear(start: Point, end: Point, bow: float, others: Sequence[tuple[float, float, float]]) -> bool:
    """Whether a curve misses all ellipses, which are (centre x, centre y, half width)."""
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    for step in range(1, 20):
        share = step / 20
        offset = 2 * share * (1 - share) * bow
        x = start[0] + share * (end[0] - start[0]) + offset * (end[1] - start[1]) / length
        y = start[1] + share * (end[1] - start[1]) - offset * (end[0] - start[0]) / length
        if any(math.hypot((x - a) / (wide + 8), (y - b) / (_RADIUS + 8)) < 1 for a, b, wide in others):
            return False
    return True


def _rim(centre: Point, towards: Point, name: str, gap: float) -> Point:
    """The point where the line from a centre leaves the node's ellipse."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    wide, high = _half_width(name) + gap, _RADIUS + gap
    scale = 1 / max(1e-9, math.hypot(dx / wide, dy / high))
    return centre[0] + dx * scale, centre[1] + dy * scale


def _half_width(name: str) -> float:
    return max(_RADIUS, min(_STEP * 0.42, len(name) * _LETTER / 2 + 9))


def _node(graph: Graph, node: str, position: Point) -> str:
    latent = node in graph.latent
    roles = (graph.treatment, graph.mediator, graph.outcome)
    fill = "white" if latent else "#e3e7ee" if node in roles else "#cfe0f5" if node in graph.auxiliary else "#f4f4f4"
    dashed = ' stroke-dasharray="4 3"' if latent else ""
    wide = _half_width(node)
    label = node if len(node) * _LETTER < 2 * wide else f"{node[: int(2 * wide / _LETTER) - 2]}…"
    return (
        f"<g><title>{escape(node)}</title>"
        f'<ellipse cx="{position[0]:.1f}" cy="{position[1]:.1f}" rx="{wide:.1f}" ry="{_RADIUS}" '
        f'fill="{fill}" stroke="#333" stroke-width="1.4"{dashed}/>'
        f'<text x="{position[0]:.1f}" y="{position[1] + 5:.1f}" text-anchor="middle">{escape(label)}</text></g>'
    )


def _legend(graph: Graph, criterion: Identifiability, height: float) -> list[str]:
    outcome = "holds" if criterion.holds else "fails"
    lines = [
        f'<text x="20" y="{height:.0f}">{escape(one_line(graph.name))}: {criterion.criterion} criterion {outcome}</text>'
    ]
    for number, (_, (colour, width), name) in enumerate(_marked(criterion)):
        x = 28 + 110 * number
        lines.append(
            f'<path d="M{x} {height + 25:.0f}h26" stroke="{colour}" stroke-width="{width}" stroke-linecap="round" '
            f'opacity="0.55"/><text x="{x + 38}" y="{height + 30:.0f}">{name}</text>'
        )
    return lines

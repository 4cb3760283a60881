"""All verdicts about a graph at once, and which estimator follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deconfound.causal.criterion import (
    Identifiability,
    check_back_door,
    check_beta_front_door,
    check_front_door,
    check_mediator,
)
from deconfound.causal.graph import Graph
from deconfound.causal.paths import separated


@dataclass(frozen=True)
class Assessment:
    """What a graph allows.

    Args:
        naive: no adjustment at all.
        front_door: with the mediator alone.
        beta_front_door: given the auxiliary nodes.
        joint_mediators: front-door with mediator and auxiliary nodes together as mediators, for those that X causes.
        back_door: adjustment for the auxiliary nodes.
        mediator: what equation (3) and the randomised-mediator effect need.
        reduces: Z ⊥ A | X: equation (2), the product form and the plain front-door are then one number.
        unrelated: A ⊥ X: the joint-mediator form and equation (2) are then one number.
        advice: one sentence.
    """

    naive: Identifiability
    front_door: Identifiability
    beta_front_door: Identifiability
    joint_mediators: Identifiability
    back_door: Identifiability
    mediator: Identifiability
    reduces: bool
    unrelated: bool
    advice: str

    @property
    def exact(self) -> Mapping[str, bool]:
        """Estimator of P(y | do(x)) → whether the graph warrants it. A False is no proof that it is wrong."""
        reduced = self.reduces and self.front_door.holds
        return {
            "naive": self.naive.holds,
            "back-door": self.back_door.holds,
            "front-door": self.front_door.holds,
            "beta-front-door": self.beta_front_door.holds,
            "randomised-mediator": reduced and self.mediator.holds,
            "joint-mediators": self.joint_mediators.holds,
        }


def assess(graph: Graph) -> Assessment:
    """Check every criterion on a graph."""
    z, x, given = (graph.mediator,), (graph.treatment,), graph.auxiliary
    front, beta = check_front_door(graph), check_beta_front_door(graph)
    joint, back = check_front_door(graph, (*z, *given)), check_back_door(graph)
    naive = check_back_door(replace(graph, auxiliary=()))
    reduces = separated(graph.digraph, z, given, x)
    unrelated = separated(graph.digraph, given, x, ())
    found = Assessment(naive, front, beta, joint, back, check_mediator(graph), reduces, unrelated, "")
    return replace(found, advice=_advice(graph, found))


def _advice(graph: Graph, found: Assessment) -> str:
    x, z, a = graph.treatment, graph.mediator, ", ".join(graph.auxiliary)
    beta = found.beta_front_door.holds and bool(a)
    if found.naive.holds:
        return f"P(y | {x}) is the effect already; no formula is needed."
    if found.back_door.holds:
        return f"Adjust for {a} by the back-door formula; it asks least of the data."
    if found.front_door.holds and beta and found.reduces:
        return f"Use the plain front-door: {z} is independent of {a} given {x}, so equation (2) is the same number."
    if found.front_door.holds:
        also = f"; equation (1) is exact too, where the effect within each value of {a} is asked for" if beta else ""
        wrong = f"; do not condition on {a}: equation (2) is not warranted" if a and not beta else ""
        return f"Use the plain front-door{also}{wrong}."
    if beta:
        return f"Use equation (2), or (1) within each value of {a}; the plain front-door is not warranted here."
    if found.joint_mediators.holds:
        return f"Use the joint-mediator front-door with {z} and {a} together; equation (2) is not warranted here."
    return "None of these formulas is warranted; measure what lies on an open path, or randomise."


def as_json(graph: Graph, found: Assessment) -> dict[str, Any]:
    """JSON values of a graph and its assessment."""
    verdicts = {
        "naive": found.naive,
        "front_door": found.front_door,
        "beta_front_door": found.beta_front_door,
        "joint_mediators": found.joint_mediators,
        "back_door": found.back_door,
        "mediator": found.mediator,
    }
    roles = {"treatment": graph.treatment, "mediator": graph.mediator, "outcome": graph.outcome}
    return {
        "name": graph.name,
        "roles": {**roles, "auxiliary": list(graph.auxiliary)},
        "verdicts": {name: _verdict_json(verdict) for name, verdict in verdicts.items()},
        "alpha_paths": [str(path) for path in found.beta_front_door.alpha_paths],
        "beta_paths": [str(path) for path in found.beta_front_door.beta_paths],
        "reduces_to_front_door": found.reduces,
        "auxiliary_independent_of_treatment": found.unrelated,
        "warranted": dict(found.exact),
        "positivity": found.beta_front_door.positivity,
        "advice": found.advice,
    }


def _verdict_json(verdict: Identifiability) -> dict[str, Any]:
    conditions = [
        {"name": c.name, "says": c.says, "holds": c.holds, "path": None if c.path is None else str(c.path)}
        for c in verdict.conditions
    ]
    return {"holds": verdict.holds, "conditions": conditions}


def as_text(graph: Graph, found: Assessment) -> str:
    """The verdict for a terminal."""
    lines = [f"{graph.name}: {graph.treatment} -> {graph.mediator} -> {graph.outcome}{_given(graph)}"]
    shown = [found.front_door, found.beta_front_door] if graph.auxiliary else [found.front_door]
    for verdict in shown:
        lines += ["", f"{verdict.criterion} criterion: {'holds' if verdict.holds else 'FAILS'}"]
        lines += [
            f"  {c.name} {'holds' if c.holds else 'FAILS'}  {c.says}{'' if c.path is None else f': {c.path}'}"
            for c in verdict.conditions
        ]
    x, z, a = graph.treatment, graph.mediator, ", ".join(graph.auxiliary)
    full = found.beta_front_door
    lines += ["", f"α-paths, which {x} blocks: {_listed(full.alpha_paths)}"]
    if a:
        lines += [f"β-paths, which {a} blocks: {_listed(full.beta_paths)}", ""]
        lines.append(_other("joint mediators", found.joint_mediators))
    lines.append(_other("back-door adjustment" if a else "no adjustment", found.back_door))
    if a and found.reduces:
        lines.append(f"{z} is independent of {a} given {x}: (2) reduces to the plain front-door")
    if a and found.unrelated:
        lines.append(f"{a} is independent of {x}: the joint-mediator form equals (2)")
    return "\n".join([*lines, "", f"positivity: {full.positivity}", f"advice: {found.advice}"])


def _given(graph: Graph) -> str:
    return f", given {', '.join(graph.auxiliary)}" if graph.auxiliary else ""


def _listed(paths: tuple[object, ...]) -> str:
    return "; ".join(map(str, paths)) or "none"


def _other(name: str, verdict: Identifiability) -> str:
    broken = next((c for c in verdict.conditions if not c.holds), None)
    return f"{name}: holds" if broken is None else f"{name}: FAILS, {broken.path}"

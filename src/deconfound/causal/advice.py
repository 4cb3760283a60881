"""All criteria on a graph at once, and which estimator follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
        naive: whether P(y | x) is the effect without any adjustment.
        front_door: the criterion with the mediator alone.
        beta_front_door: the criterion given the auxiliary nodes.
        joint_mediators: the front-door criterion with mediator and auxiliary nodes as mediators, for those that X causes.
        back_door: the back-door criterion with the auxiliary nodes.
        mediator: the criterion that equation (3) and the randomised-mediator effect need.
        reduces: whether Z ⊥ A | X. Equation (2), the product form and the plain front-door are then equal.
        unrelated: whether A ⊥ X. The joint-mediator form and equation (2) are then equal.
        advice: the estimator to use, in one sentence.
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
        """Estimator of P(y | do(x)) → whether the graph warrants it. False does not prove that it is wrong."""
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
    z, x, a = (graph.mediator,), (graph.treatment,), graph.auxiliary
    front, beta = check_front_door(graph), check_beta_front_door(graph)
    joint, back = check_front_door(graph, (*z, *a)), check_back_door(graph)
    naive = check_back_door(replace(graph, auxiliary=()))
    reduces = separated(graph.digraph, z, a, x)
    unrelated = separated(graph.digraph, a, x, ())
    assessment = Assessment(naive, front, beta, joint, back, check_mediator(graph), reduces, unrelated, "")
    return replace(assessment, advice=_advice(graph, assessment))


def _advice(graph: Graph, assessment: Assessment) -> str:
    x, z, a = graph.treatment, graph.mediator, ", ".join(graph.auxiliary)
    beta = assessment.beta_front_door.holds and bool(a)
    if assessment.naive.holds:
        return f"P(y | {x}) is the effect already; no formula is needed."
    if assessment.back_door.holds:
        return f"Adjust for {a} by the back-door formula; it needs the least data."
    if assessment.front_door.holds and beta and assessment.reduces:
        return f"Use the plain front-door: {z} is independent of {a} given {x}, so equation (2) is the same number."
    if assessment.front_door.holds:
        also = f"; equation (1) is exact too, for the effect within each value of {a}" if beta else ""
        wrong = f"; do not condition on {a}: equation (2) is not warranted" if a and not beta else ""
        return f"Use the plain front-door{also}{wrong}."
    if beta:
        return f"Use equation (2), or (1) within each value of {a}; the plain front-door is not warranted here."
    if assessment.joint_mediators.holds:
        return f"Use the joint-mediator front-door with {z} and {a} together; equation (2) is not warranted here."
    return "None of these formulas is warranted; measure a node on an open path, or randomise."

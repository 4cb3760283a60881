"""Causal theory that runs: graphs with latent causes, front-door criteria, adjustment formulas, effects from rows.

from deconfound.causal import Graph, assess
print(assess(Graph.read("g3.toml")).advice)
"""

from deconfound.causal.advice import Assessment, assess
from deconfound.causal.counts import Counts, count_rows, read_counts
from deconfound.causal.criterion import (
    Condition,
    Identifiability,
    check_back_door,
    check_beta_front_door,
    check_front_door,
    check_mediator,
)
from deconfound.causal.draw import draw
from deconfound.causal.effects import (
    FORMULAS,
    back_door,
    beta_front_door,
    beta_front_door_given,
    front_door,
    joint_mediators,
    mediator_effect,
    mediator_effect_plain,
    naive,
    naive_given,
    randomised_mediator_effect,
)
from deconfound.causal.estimate import Band, Effect, Effects, estimate_effects
from deconfound.causal.examples import EXAMPLES, Example, random_graph
from deconfound.causal.formatting import effects_json, effects_text
from deconfound.causal.graph import Graph
from deconfound.causal.paths import Path, open_path, separated
from deconfound.causal.scm import DiscreteSCM
from deconfound.causal.support import PositivityWarning, Support, support

__all__ = [
    "EXAMPLES",
    "FORMULAS",
    "Assessment",
    "Band",
    "Condition",
    "Counts",
    "DiscreteSCM",
    "Effect",
    "Effects",
    "Example",
    "Graph",
    "Identifiability",
    "Path",
    "PositivityWarning",
    "Support",
    "assess",
    "back_door",
    "beta_front_door",
    "beta_front_door_given",
    "check_back_door",
    "check_beta_front_door",
    "check_front_door",
    "check_mediator",
    "count_rows",
    "draw",
    "effects_json",
    "effects_text",
    "estimate_effects",
    "front_door",
    "joint_mediators",
    "mediator_effect",
    "mediator_effect_plain",
    "naive",
    "naive_given",
    "open_path",
    "random_graph",
    "randomised_mediator_effect",
    "read_counts",
    "separated",
    "support",
]

"""What is exact on which graph, by enumeration: the eleven examples, and five hundred random graphs."""

from dataclasses import replace
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
import torch

from deconfound.causal import EXAMPLES, FORMULAS, DiscreteSCM, assess, check_beta_front_door, random_graph
from deconfound.causal.effects import TREATMENT_FORMULAS, evaluate

EXACT = 1e-9


@pytest.mark.parametrize("name", EXAMPLES)
def test_exact_on_200_models_where_said_and_wrong_elsewhere(name):
    example = EXAMPLES[name]
    generator = torch.Generator().manual_seed(0)
    models = [DiscreteSCM.random(example.graph, generator, {"z": 3, "u": 3}) for _ in range(200)]
    p = np.stack([model.observed() for model in models])
    truth = {
        "xy": np.stack([model.effect() for model in models]),
        "xay": np.stack([model.effect_given() for model in models]),
        "zy": np.stack([model.mediator_effect() for model in models]),
    }
    for formula in FORMULAS:
        error = np.abs(evaluate(formula, p) - truth[FORMULAS[formula].result]).max(axis=(1, 2)).ravel()
        if formula in example.exact:
            assert error.max() < EXACT, formula
        else:
            assert error.mean() > 5e-4, formula
            assert (error > EXACT).mean() > 0.99, formula


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_a_graph_warrants_is_exact_on_it(name):
    example = EXAMPLES[name]
    warranted = {formula for formula, holds in assess(example.graph).exact.items() if holds}
    assert warranted <= example.exact
    assert example.exact & {"naive", "back-door", "front-door", "beta-front-door", "joint-mediators"} == warranted - {
        "randomised-mediator"
    }


def error_on(graph, generator, models=2):
    """Formula → largest error over random models; equation (1) as "given"."""
    found = dict.fromkeys((*TREATMENT_FORMULAS, "given"), 0.0)
    for _ in range(models):
        model = DiscreteSCM.random(graph, generator, {"z": 3})
        p, truth = model.observed(), model.effect()
        found = {
            name: max(error, float(np.abs(evaluate(name, p) - truth).max()))
            for name, error in found.items()
            if name != "given"
        } | {"given": found["given"]}
        if check_beta_front_door(graph).holds:
            gap = np.abs(evaluate("beta-front-door-given", p) - model.effect_given()).max()
            found["given"] = max(found["given"], float(gap))
    return found


def excused(graph):
    """Reasons for which equation (2) is exact though its criterion fails: no effect at all, or a smaller A would do."""
    if not nx.has_path(graph.digraph, "x", "y"):
        return True
    parts = [part for count in range(len(graph.auxiliary)) for part in combinations(graph.auxiliary, count)]
    return any(check_beta_front_door(replace(graph, auxiliary=part)).holds for part in parts)


def test_verdicts_agree_with_enumeration_on_500_random_graphs():
    """Every warranted formula is exact. Where equation (2) is exact without its criterion, the reason is known."""
    generator = torch.Generator().manual_seed(0)
    holds = fails = without = 0
    for _ in range(500):
        graph = random_graph(generator)
        warranted, error = assess(graph).exact, error_on(graph, generator)
        assert [name for name in warranted if warranted[name] and error[name] > EXACT] == []
        assert error["given"] < EXACT
        holds += warranted["beta-front-door"]
        fails += not warranted["beta-front-door"]
        if error["beta-front-door"] < EXACT and not warranted["beta-front-door"]:
            without += 1
            assert excused(graph), graph.edges
    assert holds > 50
    assert fails > 200
    assert without < 0.2 * fails

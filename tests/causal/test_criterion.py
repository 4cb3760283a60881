"""The criteria, condition by condition, on graphs whose answer is known."""

from dataclasses import replace

import pytest
import torch

from deconfound.causal import (
    EXAMPLES,
    Graph,
    assess,
    check_back_door,
    check_beta_front_door,
    check_front_door,
    random_graph,
)

VERDICTS = {
    "g1": (True, True),
    "g1b": (True, True),
    "g2": (False, True),
    "g3": (False, True),
    "g4": (False, True),
    "g5": (False, True),
    "g6": (False, False),
    "g7": (False, False),
    "g8": (True, False),
    "g9": (True, False),
    "g10": (False, False),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_front_door_and_beta_front_door_of_the_examples(name):
    graph = EXAMPLES[name].graph
    assert (check_front_door(graph).holds, check_beta_front_door(graph).holds) == VERDICTS[name]


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("g6", {"B1": "x -> a -> y", "B2": "x -> a"}),
        ("g7", {"B3": "x <- u -> a <- v -> z", "B4": "z <- v -> a <- u -> y"}),
        ("g8", {"B3": "x <- u -> a <- v -> z", "B4": "z <- v -> a <- u -> y"}),
        ("g9", {"B2": "x -> z -> a"}),
        ("g10", {"B1": "x -> y"}),
    ],
)
def test_the_path_that_breaks_a_condition(name, broken):
    verdict = check_beta_front_door(EXAMPLES[name].graph)
    assert {c.name: str(c.path) for c in verdict.conditions if not c.holds} == broken


def test_conditions_of_the_plain_front_door():
    verdict = check_front_door(EXAMPLES["g3"].graph)
    assert [(c.name, c.holds) for c in verdict.conditions] == [("F1", True), ("F2", False), ("F3", False)]
    assert [str(c.path) for c in verdict.conditions[1:]] == ["x <- u -> a -> z", "z <- a -> y"]
    assert verdict.conditions[0].says == "z intercepts every directed path from x to y"


def test_alpha_and_beta_paths():
    verdict = check_beta_front_door(EXAMPLES["g4"].graph)
    assert [str(p) for p in verdict.alpha_paths] == ["z <- x <- u -> y"]
    assert [str(p) for p in verdict.beta_paths] == ["z <- v -> a -> y"]
    assert "every value of the mediator" in verdict.positivity
    shared = check_beta_front_door(EXAMPLES["g1b"].graph)  # z <- x <- w -> a -> y looks like one, but x blocks it
    assert shared.beta_paths == ()
    assert "z <- x <- w -> a -> y" in [str(p) for p in shared.alpha_paths]


@pytest.mark.parametrize(
    ("chains", "latent", "broken"),
    [
        (("x -> z -> y", "u -> x", "u -> z"), ["u"], "B3"),
        (("x -> z -> y", "u -> z", "u -> y"), ["u"], "B4"),
        (("z -> x", "z -> y"), [], "B2"),
    ],
)
def test_without_auxiliary_nodes_it_is_the_front_door(chains, latent, broken):
    graph = Graph.of(*chains, latent=latent)
    failed = [c.name for c in check_beta_front_door(graph).conditions if not c.holds]
    assert broken in failed
    assert not check_front_door(graph).holds


def test_on_random_graphs():
    generator = torch.Generator().manual_seed(5)
    for _ in range(300):
        graph = random_graph(generator)
        plain = replace(graph, auxiliary=())
        found = assess(graph)
        if check_front_door(plain).holds:
            assert check_beta_front_door(plain).conditions[0].holds
        assert check_front_door(plain).holds == check_beta_front_door(plain).holds
        if found.beta_front_door.holds:
            assert found.mediator.holds  # (3) asks for less than (2)
            assert found.front_door.holds or not found.reduces  # Corollary 1: then the plain one is enough
        for verdict in (found.front_door, found.beta_front_door, found.joint_mediators, found.back_door):
            assert verdict.holds == all(c.path is None for c in verdict.conditions)


def test_the_corollaries():
    assert assess(EXAMPLES["g1"].graph).reduces
    assert not assess(EXAMPLES["g3"].graph).reduces
    assert assess(EXAMPLES["g2"].graph).unrelated
    six = assess(EXAMPLES["g6"].graph)
    assert six.joint_mediators.holds
    assert not six.front_door.holds


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("g1", "Use the plain front-door: z is independent of a given x"),
        ("g3", "Use equation (2), or (1) within each value of a"),
        ("g6", "Use the joint-mediator front-door with z and a together"),
        ("g7", "None of these formulas is warranted"),
        ("g8", "Use the plain front-door; do not condition on a"),
    ],
)
def test_advice(name, advice):
    assert assess(EXAMPLES[name].graph).advice.startswith(advice)


def test_advice_prefers_what_asks_least():
    measured = Graph.of("a -> x -> z -> y", "a -> y", auxiliary=["a"])
    assert check_back_door(measured).holds
    assert assess(measured).advice.startswith("Adjust for a by the back-door formula")
    nothing = Graph.of("x -> z -> y", "a -> y", auxiliary=["a"])
    assert assess(nothing).advice.startswith("P(y | x) is the effect already")

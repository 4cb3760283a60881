"""Models: the truth by enumeration against rows that are made one cause at a time."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from deconfound.causal import EXAMPLES, DiscreteSCM, Graph, randomised_mediator_effect
from deconfound.errors import SpecError


def model(name="g5", seed=0):
    return DiscreteSCM.random(EXAMPLES[name].graph, torch.Generator().manual_seed(seed), {"z": 3, "u": 3})


def slow_joint(scm, do=None):
    """Each combination of values as a product of its conditional probabilities."""
    nodes, sizes = scm.graph.nodes, scm.sizes
    found = np.zeros([sizes[node] for node in nodes])
    for values in product(*(range(sizes[node]) for node in nodes)):
        at = dict(zip(nodes, values, strict=True))
        chances = [scm.tables[n][(*(at[p] for p in scm.parents(n)), at[n])] for n in nodes if n != do]
        found[values] = np.prod(chances)
    return found


@pytest.mark.parametrize("do", [None, "x", "z", "a"])
def test_the_joint_is_the_product_of_the_tables(do):
    scm = model()
    np.testing.assert_allclose(scm.joint(do), slow_joint(scm, do), atol=1e-14)


def test_truths_are_sums_of_the_joint():
    scm = model("g9", 3)
    nodes = scm.graph.nodes
    under = slow_joint(scm, "x")
    for x, y in product(range(2), range(2)):
        at = [slice(None)] * len(nodes)
        at[nodes.index("x")], at[nodes.index("y")] = x, y
        assert scm.effect()[x, y] == pytest.approx(under[tuple(at)].sum(), abs=1e-14)
        for a in range(2):
            at[nodes.index("a")] = a
            both = under[tuple(at)].sum()
            at[nodes.index("y")] = slice(None)
            assert scm.effect_given()[x, a, y] == pytest.approx(both / under[tuple(at)].sum(), abs=1e-14)
            at[nodes.index("a")], at[nodes.index("y")] = slice(None), y
    z = [slice(None)] * len(nodes)
    z[nodes.index("z")], z[nodes.index("y")] = 2, 1
    assert scm.mediator_effect()[2, 1] == pytest.approx(slow_joint(scm, "z")[tuple(z)].sum(), abs=1e-14)


@pytest.mark.parametrize("name", ["g1", "g1b", "g2", "g3", "g4", "g5", "g6", "g10"])
def test_corollary_2_the_product_form_is_the_randomised_effect(name):
    for seed in range(20):
        scm = model(name, seed)
        np.testing.assert_allclose(randomised_mediator_effect(scm.observed()), scm.randomised_effect(), atol=1e-12)


@pytest.mark.parametrize("name", ["g7", "g8", "g9"])
def test_and_not_where_equation_3_fails(name):
    gaps = [
        abs(randomised_mediator_effect(s.observed()) - s.randomised_effect()).max()
        for s in map(model, [name] * 9, range(9))
    ]
    assert max(gaps) > 1e-3


def test_an_outcome_without_interaction_makes_the_product_form_exact_where_a_is_independent():
    for name, exact in (("g2", True), ("g3", False)):
        scm = model(name)
        share = np.random.default_rng(0)
        by_u, by_z, by_a = (share.uniform(0, 0.3, n) for n in (3, 3, 2))
        assert scm.parents("y") == ("z", "a", "u")
        one = by_z[:, None, None] + by_a[:, None] + by_u
        scm = scm.with_table("y", np.stack([1 - one, one], axis=-1))
        gap = abs(randomised_mediator_effect(scm.observed()) - scm.effect()).max()
        assert (gap < 1e-12) == exact


def test_samples_follow_the_observed_table():
    scm = model("g3")
    rows = scm.sample(50_000, torch.Generator().manual_seed(1))
    expected = scm.observed()
    cells = np.bincount(np.ravel_multi_index(rows.T, expected.shape), minlength=expected.size)
    assert chisquare(cells, expected.ravel() * len(rows)).pvalue > 1e-3


def test_the_generator_decides():
    one, two, other = model("g3", 1), model("g3", 1), model("g3", 2)
    assert all(np.array_equal(one.tables[n], two.tables[n]) for n in one.tables)
    assert not np.array_equal(one.tables["y"], other.tables["y"])
    assert min(table.min() for table in one.tables.values()) > 0


def test_tables_are_checked():
    scm = model("g3")
    for table, message in [
        (np.ones((2, 2)), r"the table of 'z' has shape \(2, 2\); expected"),
        (np.ones((2, 2, 3)), "the table of 'z' does not hold probabilities"),
    ]:
        with pytest.raises(SpecError, match=message):
            scm.with_table("z", table)
    with pytest.raises(SpecError, match="the node 'u' has no table"):
        DiscreteSCM(scm.graph, {name: table for name, table in scm.tables.items() if name != "u"})
    chain = Graph.of("x -> z -> y", *(f"y -> n{i}" for i in range(25)))
    with pytest.raises(SpecError, match="joint values; at most"):
        DiscreteSCM.random(chain, torch.Generator())

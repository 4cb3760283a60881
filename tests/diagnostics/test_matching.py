"""MCC against all matchings, DCI against matrices whose values follow by hand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from deconfound.diagnostics.matching import correlations, dci, disentanglement_and_completeness, match_dimensions


def test_the_matching_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(50, 3))
    code = factors @ rng.normal(size=(3, 4)) + rng.normal(size=(50, 4))
    strength = np.abs([[np.corrcoef(c, f)[0, 1] for f in factors.T] for c in code.T])
    assert correlations(code, factors) == pytest.approx(strength)
    best = max(np.mean([strength[d, k] for k, d in enumerate(order)]) for order in permutations(range(4), 3))
    found = match_dimensions(code, factors)
    assert found is not None
    assert found.mcc == pytest.approx(best)
    assert np.mean([strength[pair] for pair in found.pairs]) == pytest.approx(best)


def test_mixed_up_dimensions_match_and_noise_is_at_chance() -> None:
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(200, 3))
    same = match_dimensions(-2 * factors[:, [2, 0, 1]] + 5, factors)
    assert same is not None
    assert same.mcc == pytest.approx(1)
    assert same.pairs == [(0, 2), (1, 0), (2, 1)]
    noise = match_dimensions(rng.normal(size=(200, 8)), factors)
    assert noise is not None
    assert noise.mcc == pytest.approx(noise.chance, abs=0.06)
    assert match_dimensions(np.ones((200, 2)), factors) is None
    assert match_dimensions(factors[:19], factors[:19]) is None


def test_importance_by_hand() -> None:
    assert disentanglement_and_completeness(np.eye(3)) == (pytest.approx(1), pytest.approx(1))
    assert disentanglement_and_completeness(np.ones((4, 3))) == (pytest.approx(0), pytest.approx(0))
    assert disentanglement_and_completeness(np.zeros((2, 2))) == (None, None)
    assert disentanglement_and_completeness(np.ones((3, 1))) == (None, pytest.approx(0))
    twice = np.array([[1.0, 0], [1.0, 0], [0, 2.0]])  # one factor told by two dimensions
    assert disentanglement_and_completeness(twice) == (
        pytest.approx(1),
        pytest.approx(0.5 * (1 - np.log(2) / np.log(3)) + 0.5),
    )
    idle = np.array([[3.0, 1.0], [0, 0]])  # an idle dimension has no weight
    entropy = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    assert disentanglement_and_completeness(idle) == (pytest.approx(1 - entropy), pytest.approx(1))


def test_forests_see_axes_and_mixtures() -> None:
    rng = np.random.default_rng(2)
    factors = rng.normal(size=(400, 2))
    turn = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    straight, mixed = dci(factors**3, factors), dci(factors @ turn, factors)
    assert straight is not None
    assert mixed is not None
    assert straight.disentanglement is not None
    assert straight.completeness is not None
    assert min(straight.disentanglement, straight.completeness, straight.informativeness) > 0.9
    assert (mixed.disentanglement or 0) < 0.2
    assert mixed.informativeness > 0.8
    assert dci(factors[:19], factors[:19]) is None

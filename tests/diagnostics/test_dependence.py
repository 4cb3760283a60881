"""Dependence: oracles are the definitions, one loop per index."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from deconfound.diagnostics.dependence import dependence, distance_correlation


def slow_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Mean of k_ij (l_ij + l_qr − 2 l_iq) over distinct i, j, q, r: what the population HSIC is the expectation of."""

    def gram(rows: np.ndarray) -> np.ndarray:
        between = np.sort(pdist(rows))
        width = between[(len(between) - 1) // 2]  # the lower median
        return np.array([[np.exp(-((a - b) ** 2).sum() / (2 * width**2)) for b in rows] for a in rows])

    k, ell = gram(x), gram(y)
    terms = [k[i, j] * (ell[i, j] + ell[q, r] - 2 * ell[i, q]) for i, j, q, r in permutations(range(len(x)), 4)]
    return float(np.mean(terms))


def slow_distance_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Székely and Rizzo (2014), definitions 2 and 3, entry by entry."""
    n = len(x)

    def centred(rows: np.ndarray) -> list[list[float]]:
        d = [[float(np.sqrt(((a - b) ** 2).sum())) for b in rows] for a in rows]
        total = sum(map(sum, d))
        return [
            [
                d[i][j] - sum(d[i]) / (n - 2) - sum(d[j]) / (n - 2) + total / ((n - 1) * (n - 2)) if i != j else 0.0
                for j in range(n)
            ]
            for i in range(n)
        ]

    def product(a: list[list[float]], b: list[list[float]]) -> float:
        return sum(a[i][j] * b[i][j] for i in range(n) for j in range(n) if i != j) / (n * (n - 3))

    a, b = centred(x), centred(y)
    return product(a, b) / np.sqrt(product(a, a) * product(b, b))


def test_hsic_of_a_diagnosis_is_its_definition_on_standardized_columns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 2))
    y = x[:, :1] ** 2 + rng.normal(size=(20, 3))
    result = dependence(x, y, np.random.default_rng(0), permutations=1)
    assert result is not None
    x, y = ((values - values.mean(axis=0)) / values.std(axis=0) for values in (x, y))
    assert result.hsic == pytest.approx(slow_hsic(x, y), abs=1e-10)


@given(seed=st.integers(0, 1000), n=st.integers(4, 7), strength=st.floats(0, 2))
@settings(max_examples=20, deadline=None)
def test_distance_correlation_is_its_definition(seed: int, n: int, strength: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    y = strength * x[:, :1] ** 2 + rng.normal(size=(n, 3))
    assert distance_correlation(x, y) == pytest.approx(slow_distance_correlation(x, y), abs=1e-10)


def test_independent_parts_have_no_dependence_on_average() -> None:
    rng = np.random.default_rng(0)
    values = np.array([distance_correlation(x, y) for x, y in rng.normal(size=(400, 2, 12, 5))], dtype=float)
    assert abs(values.mean()) < 4 * values.std() / 20  # the biased form is at +0.4 here


def test_a_part_depends_on_itself_wholly() -> None:
    x = np.random.default_rng(1).normal(size=(30, 2))
    found = dependence(x, x * [2, -3], np.random.default_rng(0), permutations=19)
    assert found is not None
    assert found.similarity == pytest.approx(1)
    assert found.distance_correlation == pytest.approx(1)
    assert found.hsic_p == found.distance_correlation_p == pytest.approx(1 / 20)
    assert found.hsic_p_given_label is None


def test_dependence_through_the_label_is_gone_at_a_fixed_label() -> None:
    rng = np.random.default_rng(2)
    label = np.repeat([0, 1], 100)
    one, other = rng.normal(size=(2, 200, 3)) + 2 * label[None, :, None]
    found = dependence(one, other, np.random.default_rng(0), bins=label, permutations=99)
    assert found is not None
    assert found.hsic_p == pytest.approx(0.01)
    assert found.hsic_p_given_label is not None
    assert found.hsic_p_given_label > 0.1


def test_few_or_constant_rows_have_a_defined_answer() -> None:
    rng = np.random.default_rng(0)
    assert dependence(rng.normal(size=(19, 2)), rng.normal(size=(19, 2)), rng) is None
    found = dependence(np.ones((30, 2)), rng.normal(size=(30, 2)), rng, permutations=9)
    assert found is not None
    assert (found.hsic, found.similarity, found.distance_correlation) == (pytest.approx(0), None, None)
    assert found.hsic_p == found.distance_correlation_p == 1

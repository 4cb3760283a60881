"""The table of docs/penalties.md: the minima of the formulas to the last digit."""

import re
from pathlib import Path

import numpy as np
import pytest

from penalties import test_coral, test_irm, test_moments, test_vrex
from support.linear_problem import Linear, by_algebra

PAGE = (Path(__file__).parents[2] / "docs" / "penalties.md").read_text(encoding="utf-8")
PENALTIES = {
    "irm": lambda problem, theta: (test_irm.slopes(problem, theta) ** 2).mean(),
    "moments": test_moments.distance,
    "coral": test_coral.distance,
}


def minimum(problem: Linear, name: str, weight: float) -> np.ndarray:
    if name == "vrex":
        return test_vrex.balanced(
            problem, weight
        )  # its unit is the risk where it is, so no formula alone has its minimum
    return by_algebra(lambda theta: problem.risks(theta).mean() + weight * PENALTIES[name](problem, theta))


@pytest.mark.parametrize("name", ["vrex", *PENALTIES])
def test_the_minima_are_those_of_the_page(name: str) -> None:
    problem, reversed_signs = Linear(), Linear(correlations=(-0.9, -0.6, -0.1))
    computed = []
    for weight in (1, 10, 100, 1000):
        theta = minimum(problem, name, weight)
        computed.append(f"{theta[1]:.2f}, {reversed_signs.risks(theta).mean():.2f}")
    row = re.search(rf"^\| `{name}` \| (\d.*) \|$", PAGE, re.MULTILINE)
    assert row is not None
    assert row[1].split(" | ") == computed


def test_least_squares_is_that_of_the_page() -> None:
    problem, reversed_signs = Linear(), Linear(correlations=(-0.9, -0.6, -0.1))
    theta = by_algebra(lambda t: problem.risks(t).mean())
    risks = problem.risks(theta).mean(), reversed_signs.risks(theta).mean()
    said = f"a = {theta[0]:.2f}, b = {theta[1]:.2f}, risk {risks[0]:.2f} in training and {risks[1]:.2f} where"
    assert said in PAGE
    assert np.allclose(reversed_signs.risks(np.array([1.0, 0.0])), 1)

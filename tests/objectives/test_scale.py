"""Which terms depend on the number of rows, columns and environments, and how: what the docstrings say, by simulation."""

from itertools import combinations

import numpy as np
import pytest
import torch

from deconfound.nn.environments import Environments, Visits
from deconfound.objectives.decorrelation import PRODUCTS, Nor, cross_correlation, row_products
from deconfound.objectives.dependence import hsic
from deconfound.objectives.invariance import Distance, invariance
from deconfound.objectives.matching import coral
from deconfound.objectives.reconstruction import reconstruction

SIZES = (8, 16, 256, 1024)


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("nor", "expected"), [("rows", 1 / 11), ("columns", 1 / 12), ("orth", 1 / 12)])
@pytest.mark.parametrize("off_diagonal", [0.0, 0.1, 1.0])
def test_the_mean_of_row_products_of_independent_parts_depends_on_the_width_alone(
    off_diagonal: float, nor: Nor, expected: float
) -> None:
    for rows, draws_of_it in ((16, 1000), (1024, 40)):
        present = torch.ones(draws_of_it, rows, dtype=torch.bool)
        value = row_products(*draws(2, draws_of_it, rows, 12), present, nor, off_diagonal)
        assert float(value.mean()) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("nor", PRODUCTS)
def test_equal_parts_of_any_width_and_number_are_at_the_same_height(nor: Nor) -> None:
    """Without products of other rows it is 1, the squared correlation of a row with itself; columns: on average more."""
    for rows, width in ((8, 3), (512, 3), (512, 24)):
        part = draws(rows, width)
        value = row_products(part, part, torch.ones(rows, dtype=torch.bool), nor, 0.0).item()
        assert value == pytest.approx(1) if nor != "columns" else value >= 1 - 1e-9


@pytest.mark.parametrize("rows", SIZES)
def test_the_squared_correlation_of_independent_parts_shrinks_with_the_rows(rows: int) -> None:
    parts = draws(2, 200, rows, 6)
    value = cross_correlation(*parts, torch.ones(200, rows, dtype=torch.bool))
    assert float(value.mean()) == pytest.approx(1 / (rows - 1), rel=0.05)


@pytest.mark.parametrize("rows", [6, 32, 128])
def test_the_unbiased_hsic_of_independent_parts_is_0_at_every_number_of_rows(rows: int) -> None:
    values = hsic(*draws(2, 300, rows, 3), torch.ones(300, rows, dtype=torch.bool))
    assert abs(float(values.mean())) < 4 * float(values.std()) / 300**0.5


@pytest.mark.parametrize("distance", ["l1", "l2", "cosine"])
def test_invariance_does_not_depend_on_environments_rows_and_columns_like_those_there(distance: Distance) -> None:
    views, present = draws(6, 5, 4), torch.ones(5, dtype=torch.bool)
    whole = invariance(views, present, distance)
    some = [invariance(views[list(chosen)], present, distance) for chosen in combinations(range(6), 3)]
    torch.testing.assert_close(torch.stack(some).mean(), whole)
    torch.testing.assert_close(invariance(views.repeat(1, 3, 1), present.repeat(3), distance), whole)
    torch.testing.assert_close(invariance(views.repeat(1, 1, 3), present, distance), whole)


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("clean", [False, True])
@pytest.mark.parametrize(("distance", "power"), [("l1", 1), ("l2", 2)])
@pytest.mark.parametrize("visits", ["all", "pair", "one"])
def test_invariance_in_units_of_the_mean_gap_does_not_depend_on_k_and_the_pairs(
    visits: Visits, distance: Distance, power: int, clean: bool, same: bool
) -> None:
    expected = 0.2 * (2 / np.pi) ** 0.5 if distance == "l1" else 0.04  # E |N(0, 0.2²)|, E N(0, 0.2²)²
    for count in (1, 2, 5, 9):
        environments = Environments(count, 0.2, visits, clean, same)
        strengths = environments.draw(20_000, torch.Generator().manual_seed(1), torch.device("cpu"))
        noise = draws(1 if same else len(strengths), 20_000, 1)
        views = torch.cat([torch.zeros(1, 20_000, 1), noise * strengths.unsqueeze(2)])
        compared = views if environments.with_clean else views[1:]
        if len(compared) < 2:
            continue
        value = float(invariance(compared, torch.ones(20_000, dtype=torch.bool), distance))
        assert value / environments.mean_gap(power) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("clean", [False, True])
def test_the_mean_gap_by_hand(clean: bool) -> None:
    pairs = [(i, j) for i in range(0 if clean else 1, 4) for j in range(i + 1, 4)]
    assert Environments(3, 1.0, "all", clean).mean_gap(2) == pytest.approx(np.mean([i * i + j * j for i, j in pairs]))
    assert Environments(3, 1.0, "all", clean).mean_gap(1) == pytest.approx(np.mean([np.hypot(i, j) for i, j in pairs]))
    assert Environments(3, 1.0, "all", clean, same=True).mean_gap(1) == pytest.approx(
        np.mean([j - i for i, j in pairs])
    )
    assert Environments(1, 1.0, "all", clean=True).mean_gap(1) == 1


def test_the_mean_of_coral_over_some_of_the_environments_is_that_over_all() -> None:
    env = torch.arange(5).repeat_interleave(7)
    values = draws(35, 3) * (1 + env.unsqueeze(1)) + env.unsqueeze(1)
    present = torch.ones(35, 3, dtype=torch.bool)
    whole = coral(values, present, env)
    for held in (2, 3, 4):
        some = []
        for chosen in combinations(range(5), held):
            rows = torch.isin(env, torch.tensor(chosen))
            some.append(coral(values[rows], present[rows], env[rows]))
        torch.testing.assert_close(torch.stack(some).mean(), whole)


def test_coral_of_equal_environments_grows_as_they_have_fewer_rows() -> None:
    present, values = torch.ones(96, 2, dtype=torch.bool), []
    for environments in (2, 8):
        env = torch.arange(96) % environments
        values.append(np.mean([float(coral(draws(96, 2, seed=seed), present, env)) for seed in range(100)]))
    assert values[1] > 3 * values[0]


def test_reconstruction_does_not_depend_on_rows_and_columns_like_those_there() -> None:
    decoded, target = draws(2, 1, 5, 4)
    present = torch.ones(1, 5, dtype=torch.bool)
    whole = reconstruction(decoded, target, present)
    repeated = reconstruction(decoded.repeat(1, 3, 2), target.repeat(1, 3, 2), present.repeat(1, 3))
    torch.testing.assert_close(repeated, whole)

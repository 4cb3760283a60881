"""Which terms depend on the number of rows, columns and environments, and how: what the docstrings say, by simulation."""

from itertools import combinations

import numpy as np
import pytest
import torch

from deconfound.nn.environments import Environments
from deconfound.objectives.decorrelation import cross_correlation, row_orthogonality
from deconfound.objectives.dependence import hsic
from deconfound.objectives.invariance import Distance, invariance
from deconfound.objectives.matching import coral
from deconfound.objectives.reconstruction import reconstruction

SIZES = (8, 16, 256, 1024)


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("rows", SIZES)
def test_row_orthogonality_of_independent_parts_grows_with_the_rows(rows: int) -> None:
    parts = draws(2, 400, rows, 6)
    value = row_orthogonality(*parts, torch.ones(400, rows, dtype=torch.bool), 0.1)
    assert float(value.mean()) == pytest.approx((1 + 0.01 * (rows - 1)) / 6, rel=0.03)


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


def test_invariance_grows_with_k_where_the_noise_does() -> None:
    values = []
    for count in (2, 4, 8):
        strengths = Environments(count, 0.2, "all").draw(4000, torch.Generator(), torch.device("cpu"))
        views = draws(len(strengths), 4000, 1) * strengths.unsqueeze(2)
        values.append(float(invariance(views, torch.ones(4000, dtype=torch.bool), "l2")))
        noise = 0.04 * np.arange(1, count + 1) ** 2  # E (x_i − x_j)² = α_i² + α_j²
        assert values[-1] == pytest.approx(2 * noise.mean(), rel=0.1)
    assert values == sorted(values)


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

"""Risks by environment against loops over the environments."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deconfound.objectives.risks import environment_means, group_risk, group_step, members, risk_variance

Rows = st.lists(st.tuples(st.floats(0, 10), st.sampled_from([0, 1, 3])), min_size=1, max_size=12)


def tensors(rows: list[tuple[float, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([risk for risk, _ in rows], dtype=torch.float64), torch.tensor([env for _, env in rows])


def means(rows: list[tuple[float, int]]) -> dict[int, float]:
    return {e: float(np.mean([r for r, other in rows if other == e])) for e in sorted({e for _, e in rows})}


@settings(deadline=None, max_examples=40)
@given(Rows)
def test_means_and_their_variance(rows) -> None:
    risks, env = tensors(rows)
    expected = means(rows)
    assert members(env)[0].tolist() == list(expected)
    np.testing.assert_allclose(environment_means(risks, env), list(expected.values()), atol=1e-12)
    np.testing.assert_allclose(risk_variance(risks, env), np.var(list(expected.values())), atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(Rows, st.lists(st.floats(0.05, 5), min_size=4, max_size=4), st.floats(0.001, 2))
def test_group_dro_is_the_loop_over_environments(rows, weights, rate) -> None:
    risks, env = tensors(rows)
    q = np.array(weights) / sum(weights)
    here, expected = means(rows), q.copy()
    for e, risk in here.items():
        expected[e] = q[e] * math.exp(rate * risk * 4 / len(here))
    expected /= expected.sum()
    log_share = torch.tensor(np.log(q))
    moved = group_step(log_share, risks, env, rate)
    np.testing.assert_allclose(moved.exp(), expected, rtol=1e-9)
    np.testing.assert_allclose(
        group_risk(risks, env, log_share), sum(q[e] * r for e, r in here.items()) * 4 / len(here), rtol=1e-9, atol=1e-12
    )


RISKS = torch.tensor([0.2, 1.7, 0.9, 2.5, 0.4, 1.1], dtype=torch.float64)
SHARES = torch.tensor([0.05, 0.1, 0.02, 0.7, 0.1, 0.03], dtype=torch.float64)


def batches(size: int) -> list[torch.Tensor]:
    """Every batch with `size` of the six environments."""
    return [torch.tensor(chosen) for chosen in combinations(range(6), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_the_mean_over_batches_is_the_value_with_all_environments(size: int) -> None:
    risk = torch.stack([group_risk(RISKS[env], env, SHARES.log()) for env in batches(size)]).mean()
    torch.testing.assert_close(risk, SHARES @ RISKS)
    gained = torch.stack([_gained(env) for env in batches(size)]).mean(0)
    torch.testing.assert_close(gained, 0.01 * RISKS)
    if size > 1:
        variances = [risk_variance(RISKS[env], env, torch.tensor(6)) for env in batches(size)]
        torch.testing.assert_close(torch.stack(variances).mean(), RISKS.var(correction=0))


def _gained(env: torch.Tensor) -> torch.Tensor:
    """What each log q gained, less what all gain: an environment outside the batch has gained 0."""
    moved = group_step(SHARES.log(), RISKS[env], env, 0.01) - SHARES.log()
    outside = [e for e in range(6) if e not in env]
    scaled = moved[outside[0]] if outside else 0.01 * RISKS[0] - moved[0]
    return moved - scaled if outside else moved + scaled


def test_an_environment_of_high_share_keeps_it_in_the_objective_of_32_seen_8_at_a_time() -> None:
    shares = torch.full((32,), 0.03 / 31, dtype=torch.float64)
    shares[0] = 0.97
    order = torch.stack([(torch.arange(8) + start) % 32 for start in range(32)])  # each environment in 8 of 32 batches
    risks = torch.zeros(32, dtype=torch.float64)
    risks[0] = 1.0
    objective = torch.stack([group_risk(risks[env], env, shares.log()) for env in order]).mean()
    torch.testing.assert_close(objective, shares[0])


def test_an_environment_that_never_is_in_a_batch_has_no_part() -> None:
    shares = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    env = torch.tensor([0, 1])
    risks = torch.tensor([1.0, 3.0], dtype=torch.float64)
    assert float(group_risk(risks, env, shares.log())) == pytest.approx(2)
    moved = group_step(shares.log(), risks, env, 0.5).exp()
    np.testing.assert_allclose(moved, [1 / (1 + math.e), math.e / (1 + math.e), 0])


def test_with_all_environments_it_is_the_step_of_domainbed() -> None:
    """`self.q[m] *= (eta * loss).exp()` for each environment, `self.q /= self.q.sum()`, `loss = dot(losses, self.q)`."""
    losses, q = torch.tensor([0.3, 1.2, 0.7]), torch.ones(3)
    log_share = torch.zeros(3).log_softmax(0)
    for _ in range(5):
        for m in range(3):
            q[m] *= (0.5 * losses[m]).exp()
        q /= q.sum()
        log_share = group_step(log_share, losses, torch.arange(3), 0.5)
    torch.testing.assert_close(log_share.exp(), q)
    torch.testing.assert_close(group_risk(losses, torch.arange(3), log_share), torch.dot(losses, q))


def test_a_share_that_falls_out_of_floating_point_comes_back() -> None:
    log_share, env = torch.zeros(2).log_softmax(0), torch.arange(2)
    for _ in range(300):
        log_share = group_step(log_share, torch.tensor([0.0, 1.0]), env, 1.0)
    assert float(log_share.exp()[0]) == 0
    for _ in range(300):
        log_share = group_step(log_share, torch.tensor([1.0, 0.0]), env, 1.0)
    torch.testing.assert_close(log_share.exp(), torch.full((2,), 0.5), atol=1e-3, rtol=0)

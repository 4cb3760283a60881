"""Risks by environment against loops over the environments."""

import math

import numpy as np
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
        expected[e] = q[e] * math.exp(rate * risk)
    held, given_up = sum(q[e] for e in here), sum(expected[e] for e in here)
    for e in here:
        expected[e] *= held / given_up
    log_share = torch.tensor(np.log(q))
    moved = group_step(log_share, risks, env, rate)
    np.testing.assert_allclose(moved.exp(), expected, rtol=1e-9)
    np.testing.assert_allclose(moved.exp().sum(), 1, rtol=1e-9)
    np.testing.assert_allclose(
        group_risk(risks, env, log_share), sum(q[e] * risk for e, risk in here.items()) / held, rtol=1e-9, atol=1e-12
    )


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

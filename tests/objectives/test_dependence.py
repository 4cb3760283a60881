"""HSIC against its definition over quadruples of rows, the CLUB bound against loops and a Gaussian's information."""

from itertools import permutations
from math import log, pi

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal

from deconfound.nn.club import Club
from deconfound.objectives.decorrelation import cross_correlation, row_products
from deconfound.objectives.dependence import club, gaussian_kernel, hsic, normalised_hsic, standardised, surprise
from support.tensor_watch import largest_tensor

ALL = torch.ones(400, dtype=torch.bool)


def kernel(values: np.ndarray) -> np.ndarray:
    """Distances one by one; the lower median of those between two rows."""
    distance = np.array([[np.linalg.norm(a - b) for b in values] for a in values])
    between = sorted(distance[np.triu_indices(len(values), 1)])
    return np.exp(-(distance**2) / (2 * between[(len(between) - 1) // 2] ** 2))


def quadruples(k: np.ndarray, m: np.ndarray) -> float:
    """The U-statistic: the mean over ordered quadruples of different rows."""
    found = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(len(k)), 4)]
    return float(np.mean(found))


def draws(count: int, rows: int, width: int, seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, width, generator=draw, dtype=torch.float64) for _ in range(count)]


@settings(deadline=None, max_examples=15)
@given(rows=st.integers(4, 7), absent=st.integers(0, 2), seed=st.integers(0, 9999))
def test_hsic_equals_its_definition_on_the_present_rows(rows: int, absent: int, seed: int) -> None:
    first, second = draws(2, rows + absent, 3, seed)
    present = torch.arange(rows + absent) >= absent
    k, m = (kernel(values[present].numpy()) for values in (first, second[:, :2]))
    assert hsic(first, second[:, :2], present).item() == pytest.approx(quadruples(k, m), abs=1e-9)
    expected = quadruples(k, m) / np.sqrt(quadruples(k, k) * quadruples(m, m))
    assert normalised_hsic(first, second[:, :2], present).item() == pytest.approx(expected, abs=1e-6)


def test_the_kernel_is_that_of_the_median_distance() -> None:
    (values,) = draws(1, 9, 2)
    torch.testing.assert_close(gaussian_kernel(values, ALL[:9]), torch.as_tensor(kernel(values.numpy())))


def test_hsic_of_independent_parts_is_zero_on_average_whatever_the_batch() -> None:
    for rows in (8, 32):
        found = [hsic(*draws(2, rows, 4, seed), ALL[:rows]).item() for seed in range(300)]
        error = np.std(found) / np.sqrt(len(found))
        assert abs(np.mean(found)) < 4 * error
        assert min(found) < 0


def test_hsic_sees_what_correlation_does_not() -> None:
    (first,) = draws(1, 400, 1)
    second = first.square()  # no linear relation
    assert cross_correlation(first, second, ALL).item() < 0.03
    assert normalised_hsic(first, second, ALL).item() > 0.3
    assert normalised_hsic(first, 5 * first - 2, ALL).item() == pytest.approx(1)


@settings(deadline=None, max_examples=20)
@given(rows=st.integers(2, 6), width=st.integers(1, 3), seed=st.integers(0, 9999))
def test_club_and_likelihood_equal_the_loops(rows: int, width: int, seed: int) -> None:
    values, mean, spread = draws(3, rows, width, seed)
    present = torch.arange(rows) != 1
    kept = [row for row in range(rows) if present[row]]
    q = Normal(mean, torch.exp(spread / 2))
    own = [q.log_prob(values[i])[i] for i in kept]
    other = [torch.stack([q.log_prob(values[j])[i] for j in kept]).mean(0) for i in kept]
    bound = torch.stack([a - b for a, b in zip(own, other, strict=True)]).mean()
    torch.testing.assert_close(club(values, mean, spread, present), bound)
    expected = -torch.stack(own).mean() - log(2 * pi) / 2
    torch.testing.assert_close(surprise(values, mean, spread, present), expected)


def test_the_true_conditional_gives_the_closed_form_of_the_bound() -> None:
    """Unit Gaussians of correlation ρ: E = ρ² / (1 − ρ²), never below the information −½ log(1 − ρ²)."""
    rho, rows = 0.6, 200_000
    z, noise = draws(2, rows, 1)
    s = rho * z + (1 - rho**2) ** 0.5 * noise
    spread = torch.full_like(z, log(1 - rho**2))
    found = club(s, rho * z, spread, torch.ones(rows, dtype=torch.bool)).item()
    assert found == pytest.approx(rho**2 / (1 - rho**2), rel=0.02)
    assert found > -0.5 * log(1 - rho**2)


def train(model: Club, first: Tensor, second: Tensor, steps: int) -> float:
    present = torch.ones(first.shape[:2], dtype=torch.bool)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        model(first, second, present)[1].sum().backward()
        optimiser.step()
    return model(first, second, present)[0].item()


def test_the_network_learns_to_tell_dependent_parts_from_independent_ones() -> None:
    torch.manual_seed(0)
    first, second = (values.float().unsqueeze(0) for values in draws(2, 400, 2))
    assert train(Club(1, 2, 16), first, 0.7 * first.square() + 0.3 * second, 150) > 0.8
    assert train(Club(1, 2, 16), first, second, 50) < 0.15


def test_the_bound_moves_the_parts_and_the_likelihood_the_network() -> None:
    model, present = Club(2, 3, 4), ALL[:10].expand(2, -1)
    first, second = (torch.randn(2, 10, 3, requires_grad=True) for _ in range(2))
    bound, likelihood = model(first, second, present)
    of_parts = torch.autograd.grad(bound.sum(), [first, second], retain_graph=True)
    assert all(bool(g.any()) for g in of_parts)
    weights = list(model.parameters())
    assert all(bool(g.any()) for g in torch.autograd.grad(likelihood.sum(), weights, retain_graph=True))
    assert set(torch.autograd.grad(bound.sum(), weights, allow_unused=True, retain_graph=True)) == {None}
    assert set(torch.autograd.grad(likelihood.sum(), [first, second], allow_unused=True)) == {None}
    scaled = model(3 * first - 1, 0.1 * second, present)[0]
    torch.testing.assert_close(scaled, bound, rtol=1e-4, atol=1e-5)


def test_orthogonal_rows_share_everything_and_the_published_term_cannot_tell() -> None:
    """z_inv = (u, 0) and z_spu = (0, u): every pair of rows is orthogonal, and each part gives the other away."""
    torch.manual_seed(0)
    (u,) = draws(1, 400, 1)
    none = torch.zeros_like(u)
    first, second = torch.cat([u, none], 1).requires_grad_(), torch.cat([none, u], 1).requires_grad_()
    published = row_products(first, second, ALL, "orth", 0.1)
    published.backward()
    assert published.item() == 0
    assert first.grad is not None
    assert not first.grad.any()  # nor does it push
    first, second = first.detach(), second.detach()
    assert cross_correlation(first, second, ALL).item() == pytest.approx(1 / 4)  # one of four pairs of columns
    assert normalised_hsic(first, second, ALL).item() == pytest.approx(1)
    assert train(Club(1, 2, 16), first.float()[None], second.float()[None], 100) > 0.8


def test_leading_axes_are_computed_apart() -> None:
    present = torch.arange(12) > torch.tensor([[1], [4]])
    first, second = torch.randn(2, 12, 3), torch.randn(2, 12, 3)
    for function in (hsic, normalised_hsic, lambda a, b, p: club(a, b, b, p), lambda a, b, p: surprise(a, b, b, p)):
        together = function(first, second, present)
        apart = torch.stack([function(first[m], second[m], present[m]) for m in range(2)])
        torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("rows", [0, 1, 3, 6])
def test_finite_for_constants_and_few_rows(rows: int) -> None:
    present = torch.arange(6) < rows
    for values in (torch.zeros(6, 2), torch.tensor([[1.0, 0.0]] * 5 + [[0.0, 3.0]])):
        first = values.clone().requires_grad_()
        q = torch.zeros(6, 2)
        total = hsic(first, first, present) + normalised_hsic(first, first * 2, present)
        total = total + club(standardised(first, present), q, q, present)
        total.backward()
        assert torch.isfinite(total)
        assert bool(torch.isfinite(torch.as_tensor(first.grad)).all())
        if rows < 2 or not values.any():
            assert total.item() == pytest.approx(0, abs=1e-6)


def test_memory_is_rows_squared_for_hsic_and_rows_for_club() -> None:
    rows, width = 128, 8
    first, second = torch.randn(rows, width, requires_grad=True), torch.randn(rows, width, requires_grad=True)
    present = ALL[:rows]
    assert largest_tensor(lambda: normalised_hsic(first, second, present).backward()) <= rows**2
    assert largest_tensor(lambda: club(first, second, second, present).backward()) <= rows * width


def test_half_precision_keeps_its_digits() -> None:
    first, second = (values[:64].bfloat16() for values in draws(2, 64, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for function in (hsic, normalised_hsic):
            expected = function(first.double(), (first + second).double(), ALL[:64]).item()
            assert function(first, first + second, ALL[:64]).item() == pytest.approx(expected, rel=1e-3)

"""The pair distances against loops over every pair."""

from itertools import permutations
from math import log

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from deconfound.objectives.invariance import Distance, divergence, invariance
from support.tensor_watch import largest_tensor

DISTANCES: list[Distance] = ["l1", "l2", "cosine"]


def naive(views: Tensor, present: Tensor, distance: str) -> float:
    """(K, B, D): every ordered pair, every present row, every dimension, one by one."""
    count, rows, _ = views.shape
    found = []
    for b in range(rows):
        if not present[b]:
            continue
        for i in range(count):
            for j in range(count):
                if i == j:
                    continue
                x, y = views[i, b], views[j, b]
                if distance == "cosine":
                    found.append(float(1 - F.cosine_similarity(x, y, dim=0)))
                else:
                    found += [abs(float(p - q)) ** (1 if distance == "l1" else 2) for p, q in zip(x, y, strict=True)]
    return sum(found) / len(found) if found else 0.0


@settings(deadline=None, max_examples=30)
@given(
    count=st.integers(1, 6),
    rows=st.integers(1, 5),
    width=st.integers(1, 4),
    distance=st.sampled_from(DISTANCES),
    seed=st.integers(0, 9999),
)
def test_equals_the_loop(count: int, rows: int, width: int, distance: Distance, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    views = torch.randn(count, rows, width, generator=draw, dtype=torch.float64)
    present = torch.rand(rows, generator=draw) < 0.7
    assert invariance(views, present, distance).item() == pytest.approx(naive(views, present, distance), abs=1e-9)


@pytest.mark.parametrize("distance", DISTANCES)
def test_leading_axes_are_computed_apart(distance: Distance) -> None:
    views, present = torch.randn(3, 2, 4, 5, dtype=torch.float64), torch.rand(2, 4) < 0.6
    together = invariance(views, present, distance)
    assert together.shape == (2,)
    for m in range(2):
        torch.testing.assert_close(together[m], invariance(views[:, m], present[m], distance))


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradient_equals_that_of_the_pairs(distance: Distance) -> None:
    views = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    present = torch.tensor([True, False, True])
    assert torch.autograd.gradcheck(lambda v: invariance(v, present, distance), (views,))


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_views_cost_nothing_and_large_offsets_do_not_cancel(distance: Distance) -> None:
    row = torch.full((1, 6, 3), 1e4)
    assert invariance(row.expand(4, 6, 3), torch.ones(6, dtype=torch.bool), distance).item() == pytest.approx(
        0, abs=1e-6
    )


def test_l2_is_exact_far_from_zero() -> None:
    views = torch.tensor([0.0, 1.0]).reshape(2, 1, 1) + 1e4
    assert invariance(views, torch.ones(1, dtype=torch.bool), "l2").item() == 1.0


def test_a_random_pair_has_the_mean_over_pairs_as_expectation() -> None:
    views, present = torch.randn(5, 7, 3, dtype=torch.float64), torch.ones(7, dtype=torch.bool)
    pairs = [invariance(views[[i, j]], present, "l1") for i in range(5) for j in range(5) if i != j]
    torch.testing.assert_close(torch.stack(pairs).mean(), invariance(views, present, "l1"))


@pytest.mark.parametrize("distance", DISTANCES)
def test_memory_grows_with_k_not_with_its_square(distance: Distance) -> None:
    views = torch.randn(16, 32, 8, requires_grad=True)
    present = torch.ones(32, dtype=torch.bool)
    assert largest_tensor(lambda: invariance(views, present, distance).backward()) <= 16 * 32 * 8


def naive_divergence(logits: Tensor, present: Tensor) -> float:
    """(K, B, C): every ordered pair of views of every present row, class by class."""
    found = []
    for b in range(logits.shape[1]):
        if present[b]:
            views = [torch.softmax(view, 0).tolist() for view in logits[:, b]]
            for i, j in permutations(range(len(views)), 2):
                found.append(sum(p * log(p / q) for p, q in zip(views[i], views[j], strict=True)))
    return sum(found) / len(found) if found else 0.0


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 5), rows=st.integers(1, 4), classes=st.integers(2, 4), seed=st.integers(0, 9999))
def test_the_divergence_equals_the_loop(count: int, rows: int, classes: int, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, rows, classes, generator=draw, dtype=torch.float64)
    present = torch.rand(rows, generator=draw) < 0.7
    expected = naive_divergence(logits, present)
    assert divergence(logits, present).item() == pytest.approx(expected, abs=1e-9)


def test_the_squared_difference_is_the_divergence_of_the_gaussians_that_the_squared_error_means() -> None:
    views = torch.randn(3, 4, 1, dtype=torch.float64)
    gaussians = [Normal(view, 0.5**0.5) for view in views]  # −log density = (y − f)² + constant
    expected = torch.stack([kl_divergence(p, q).mean() for p, q in permutations(gaussians, 2)]).mean()
    torch.testing.assert_close(invariance(views, torch.ones(4, dtype=torch.bool), "l2"), expected)


def test_the_divergence_stays_finite_for_sure_predictions_and_in_half_precision() -> None:
    logits = torch.tensor([[[80.0, -80.0]], [[-80.0, 80.0]]], requires_grad=True)
    found = divergence(logits, torch.ones(1, dtype=torch.bool))
    found.backward()
    assert found.item() == pytest.approx(160)
    assert bool(torch.isfinite(torch.as_tensor(logits.grad)).all())
    half = logits.detach().half()
    assert divergence(half, torch.ones(1, dtype=torch.bool)).item() == pytest.approx(160)
